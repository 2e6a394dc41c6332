using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// Stands at Docker's usual socket, before dockerd's own. A process of its own: whatever goes wrong in what looks at an agent's requests, process 1 goes
/// on, and the proxy's restarts cut off no `docker exec`. It needs root's name, to own its socket and to open dockerd's, and none of root's
/// capabilities over networks, mounts and processes. When it ends, Docker cannot be used until it is started again.
/// </summary>
/// <param name="daemon">The path of dockerd's socket.</param>
/// <param name="sources">Where bind mounts may come from.</param>
/// <param name="log">Gets a line for each refusal.</param>
internal sealed class GuardServer(string daemon, AllowedSources sources, Action<string> log)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private EndpointRules? _rules;

    /// <summary>Serves what connects until <paramref name="cancellationToken"/>.</summary>
    public async Task RunAsync(Socket listener, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(cancellationToken), cancellationToken);
            }
            catch (SocketException)
            {
                // That client left again, or there are too many.
                await Task.Delay(Pause, cancellationToken);
            }
        }
    }

    private async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        using (client)
        {
            try
            {
                var who = Who(client);
                await new GuardedConnection(client, ConnectAsync, await RulesAsync(cancellationToken), refusal => log($"blocked past=true entry=docker {who} refused: {refusal}"))
                    .RunAsync(cancellationToken);
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
            {
                // One of the two left.
            }
        }
    }

    // The host's network can be named by its number, which stays as long as dockerd's data. While it cannot be asked for, nothing passes anyway.
    private async Task<EndpointRules?> RulesAsync(CancellationToken cancellationToken)
    {
        if (_rules is { } known)
            return known;
        try
        {
            return _rules = new EndpointRules(sources, await HostNetworkAsync(cancellationToken));
        }
        catch (Exception error) when (error is IOException or SocketException or JsonException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<string?> HostNetworkAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        using var http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, stop) => new NetworkStream(await ConnectAsync(stop), ownsSocket: true),
        });
        using var answer = JsonDocument.Parse(await http.GetStringAsync(new Uri("http://docker/networks/host"), limit.Token));
        return GoJson.Text(answer.RootElement, "Id");
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(daemon), cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // struct ucred: pid, uid, gid (unix(7), SO_PEERCRED).
    private static string Who(Socket client)
    {
        var credentials = new byte[12];
        client.GetRawSocketOption(1, 17, credentials);
        var process = BinaryPrimitives.ReadInt32LittleEndian(credentials);
        string program;
        try
        {
            // Its own word, as it may look at no other user's executable.
            program = File.ReadAllText($"/proc/{process.ToString(CultureInfo.InvariantCulture)}/comm").TrimEnd('\n');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            program = "?";
        }

        return $"program={string.Concat(program.Select(c => char.IsAsciiLetterOrDigit(c) || "._-".Contains(c, StringComparison.Ordinal) ? c : '?'))} uid={BinaryPrimitives.ReadUInt32LittleEndian(credentials.AsSpan(4)).ToString(CultureInfo.InvariantCulture)}";
    }
}
