using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Discobot.Features.Init;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot attempts</c>: tries to get out past the proxy, as whoever runs it. The doctor runs it as the agent; it is hidden.</summary>
internal static class AttemptsCommand
{
    public const string Name = "attempts";

    public static Command Create()
    {
        var to = new Option<string[]>("--to") { Description = "Whom to try to reach; an address of either family.", HelpName = "ADDRESS" };
        var command = new Command(Name, "Try to get out past the proxy.") { to };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellation) =>
        {
            var named = (parsed.GetValue(to) ?? []).Select(IPAddress.Parse).ToList();
            var attempts = new WayOutAttempts(
                named.Find(address => address.AddressFamily == AddressFamily.InterNetwork) ?? WayOutAttempts.Nobody,
                named.Find(address => address.AddressFamily == AddressFamily.InterNetworkV6) ?? WayOutAttempts.Nobody6, new ContainerPaths().DockerSocket);
            foreach (var tried in await attempts.RunAsync(cancellation))
                parsed.InvocationConfiguration.Output.WriteLine(tried);
            return ExitCode.Fine;
        });
        return command;
    }
}
