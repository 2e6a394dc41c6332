using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Integration.Fixtures;

/// <summary>The container engine of this machine, and what every container of these tests has in common.</summary>
internal static class Engine
{
    /// <summary>By this label build/test.sh finds what a killed test run left behind.</summary>
    public const string Label = "discobot.test";

    /// <summary>Built by images/build.sh --with-tests: real registries, engines and clients.</summary>
    public const string Tools = "discobot-test/tools";

    private static readonly ConcurrentDictionary<(string Image, string Label), string> Labels = [];

    public static ContainerBuilder Container(string image) => new ContainerBuilder(image).WithLabel(Label, "1").WithLogger(NullLogger.Instance);

    public static async Task<INetwork> CreateNetworkAsync()
    {
        var network = new NetworkBuilder().WithName($"discobot-{Guid.NewGuid():N}").WithLabel(Label, "1").WithLogger(NullLogger.Instance).Build();
        await network.CreateAsync();
        return network;
    }

    /// <summary>Runs a command in a container.</summary>
    /// <returns>Its output; a command that fails fails the test, with everything it said.</returns>
    public static async Task<string> RunAsync(this IContainer container, params string[] command)
    {
        var result = await container.ExecAsync(command);
        Assert.True(result.ExitCode == 0, $"{string.Join(' ', command)}\nended with {result.ExitCode}\n{result.Stdout}\n{result.Stderr}");
        return result.Stdout + result.Stderr;
    }

    /// <summary>Runs the docker program, for what the library does not offer.</summary>
    /// <returns>Its output.</returns>
    public static async Task<string> DockerAsync(params string[] arguments)
    {
        using var docker = Process.Start(new ProcessStartInfo("docker", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = docker.StandardError.ReadToEndAsync();
        var output = await docker.StandardOutput.ReadToEndAsync();
        await docker.WaitForExitAsync();
        Assert.True(docker.ExitCode == 0, $"docker {string.Join(' ', arguments)}: {await errors}");
        return output;
    }

    /// <summary>A label of an image; empty when it has none.</summary>
    public static string LabelOf(string image, string label) => Labels.GetOrAdd((image, label), static key =>
        Task.Run(() => DockerAsync("image", "inspect", "-f", $"{{{{index .Config.Labels \"{key.Label}\"}}}}", key.Image)).GetAwaiter().GetResult().Trim());

    /// <summary>Testcontainers assumes an API version newer than some engines speak; its reaper is an image that cannot be pulled everywhere.</summary>
    [ModuleInitializer]
    internal static void Adapt()
    {
        Environment.SetEnvironmentVariable("TESTCONTAINERS_RYUK_DISABLED", "true");
        const string socket = "/var/run/docker.sock";
        if (Environment.GetEnvironmentVariable("DOCKER_HOST") is not null || !File.Exists(socket))
            return;
        // By hand and on this thread: no other may run code of this module before its initializer is done.
        using var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        connection.Connect(new UnixDomainSocketEndPoint(socket));
        connection.Send("GET /version HTTP/1.0\r\n\r\n"u8);
        using var stream = new NetworkStream(connection);
        var answer = new StreamReader(stream).ReadToEnd();
        using var version = JsonDocument.Parse(answer[answer.IndexOf('{', StringComparison.Ordinal)..]);
        Environment.SetEnvironmentVariable("DOCKER_API_VERSION", version.RootElement.GetProperty("ApiVersion").GetString());
    }
}
