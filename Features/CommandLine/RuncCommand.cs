using System.Text.Json;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine;

/// <summary>What the executable does under the name <c>runc</c>: completes the container that is about to start, then becomes the
/// real one. Nothing that goes wrong here keeps a container from starting.</summary>
internal static class RuncCommand
{
    private const int NotFound = 127;

    public static int Run(string[] arguments)
    {
        try
        {
            if ((new ClientBundle(new ContainerPaths().Bundles).Find() ?? SystemRoots.FindBundle()) is { } bundle)
                new NestedRuntime(bundle, new ContainerPaths().CaCertificate).Prepare(arguments);
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException)
        {
            Console.Error.WriteLine($"discobot: the container does not get the proxy's authority: {error.Message}");
        }

        var real = (Environment.GetEnvironmentVariable("PATH") ?? Container.UsualPath).Split(':')
            .Where(directory => directory.StartsWith('/') && directory != NestedDocker.RuntimeDirectory)
            .Select(directory => Path.Combine(directory, "runc")).FirstOrDefault(File.Exists);
        if (real is null)
        {
            Console.Error.WriteLine("discobot: there is no runc on PATH");
            return NotFound;
        }

        new ProgramReplacement([real, .. arguments]).Run();
        return NotFound;
    }
}
