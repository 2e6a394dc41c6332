using System.Text.Json;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>What the executable does under the name <c>runc</c>: completes the container that is about to start, then becomes the
/// real one. What goes wrong here keeps a container from starting only where Docker is guarded.</summary>
internal static class RuncCommand
{
    private const int NotFound = 127;
    private const int CannotComplete = 126;

    public static int Run(string[] arguments)
    {
        try
        {
            if (Environment.GetEnvironmentVariable(GuardedDocker.Variable) is not null)
                NestedRuntime.ChangeAny(arguments, GuardedRuntime.Complete, GuardedRuntime.Confine);
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException)
        {
            Console.Error.WriteLine($"discobot: the container cannot be kept in: {error.Message}");
            return CannotComplete;
        }

        try
        {
            if (Environment.GetEnvironmentVariable(GuardedDocker.Variable) != GuardedDocker.Alone
                && (new ClientBundle(new ContainerPaths().Bundles).Find() ?? SystemRoots.FindBundle()) is { } bundle)
                new NestedRuntime(bundle, new ContainerPaths().CaCertificate, Environment.GetEnvironmentVariable("DISCOBOT_EGRESS") is "redirect" or "enforce").Prepare(arguments);
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
