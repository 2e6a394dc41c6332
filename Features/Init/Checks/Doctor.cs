using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>What a check found.</summary>
/// <param name="Area">Step, port, trust or client.</param>
/// <param name="Name">What was looked at.</param>
/// <param name="Works">Null when there is nothing to check.</param>
/// <param name="Detail">What is so.</param>
/// <param name="Fix">What to do about it; null when it works.</param>
internal sealed record Finding(string Area, string Name, bool? Works, string Detail, string? Fix);

/// <summary>Looks at a running container and says of each part whether it does what the start was to make it do. Changes nothing.</summary>
/// <param name="seen">The container.</param>
/// <param name="proxy">The ports it has to serve.</param>
/// <param name="trust">Asks the trust store: whether the authority is trusted, and one line about it.</param>
/// <param name="network">Asks the proxy itself.</param>
/// <param name="clients">Tries the clients of the image.</param>
internal sealed class Doctor(
    SeenContainer seen, ProxySummary proxy, Func<(bool Trusted, string Message)> trust, DoctorNetwork network, DoctorClients clients)
{
    public const string Restart = "restart the container and read `docker logs` from its start";

    /// <summary>Runs every check.</summary>
    public async Task<IReadOnlyList<Finding>> RunAsync(CancellationToken cancellationToken)
    {
        var findings = new List<Finding>(Startup.Checks(seen))
        {
            await PortAsync("proxy", proxy.Port, cancellationToken),
            await PortAsync("API", proxy.ApiPort, cancellationToken),
            Trust(),
            Java(),
        };
        findings.AddRange(await network.LookAsync(cancellationToken));
        findings.AddRange(await clients.TryAllAsync(cancellationToken));
        return findings;
    }

    private static async Task<Finding> PortAsync(string name, int port, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(2));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), limit.Token);
            return new Finding("port", name, true, $"127.0.0.1:{port} accepts", null);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            return new Finding("port", name, false, $"127.0.0.1:{port}: {error.Message}", "read the proxy's lines in `docker logs`; " + Restart);
        }
    }

    // Made at the start, where there was a Java then.
    private Finding Java() => File.Exists(seen.Paths.JavaTrustStore)
        ? new Finding("trust", "java", true, seen.Paths.JavaTrustStore, null)
        : new Finding("trust", "java", null, "no Java in this image at its start", null);

    private Finding Trust()
    {
        try
        {
            var (trusted, message) = trust();
            return new Finding("trust", "system", trusted, message, trusted ? null : "discobot trust install");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or System.Security.Cryptography.CryptographicException)
        {
            return new Finding("trust", "system", false, error.Message, "discobot trust install");
        }
    }
}
