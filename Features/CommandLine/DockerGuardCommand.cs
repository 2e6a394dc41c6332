using System.CommandLine;
using System.Net.Sockets;
using Discobot.Features.DockerGuard;
using Discobot.Features.Init;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot docker-guard</c>: stands before dockerd's socket. The init starts it; it is hidden, as nobody else needs it.</summary>
internal static class DockerGuardCommand
{
    public const string Name = "docker-guard";
    private const int Pending = 512;

    public static Command Create()
    {
        var listen = new Option<string>("--listen") { Description = "The socket that clients use.", HelpName = "PATH", Required = true };
        var group = new Option<uint>("--group") { Description = "Whose group it is.", HelpName = "NUMBER" };
        var daemon = new Option<string>("--daemon") { Description = "dockerd's own socket.", HelpName = "PATH", Required = true };
        var sources = new Option<string[]>("--source") { Description = "A directory below which bind mounts may come from.", HelpName = "DIR" };
        var command = new Command(Name, "Pass requests on to dockerd that stay inside the container.") { listen, group, daemon, sources };
        command.Hidden = true;
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(listen)!, parsed.GetValue(group), new GuardServer(parsed.GetValue(daemon)!, new AllowedSources(parsed.GetValue(sources) ?? []), Tell), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string path, uint group, GuardServer server, CancellationToken cancellation)
    {
        ProcessMemory.Hide();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var term = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            ended.Cancel();
        });
        try
        {
            using var listener = Listen(path, group);
            await server.RunAsync(listener, ended.Token);
        }
        catch (OperationCanceledException)
        {
            // Asked to end.
        }

        return ExitCode.Fine;
    }

    // The socket is nobody's until it is the agent's group's.
    private static Socket Listen(string path, uint group)
    {
        using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!);
        directory.Remove(Path.GetFileName(path));
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
        directory.SetOwner(Path.GetFileName(path), new Owner(0, group));
        listener.Listen(Pending);
        return listener;
    }

    private static void Tell(string line) => Console.Out.WriteLine($"{InitLog.Prefix}warning: {line}");
}
