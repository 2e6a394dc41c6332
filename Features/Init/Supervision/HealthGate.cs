using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>
/// Decides that the proxy serves: its API says so and repeats the token that it was started with, so that no other listener passes for it,
/// nor the proxy of another container in the same network; and its proxy port answers as well.
/// </summary>
/// <param name="proxyPort">Where clients will connect.</param>
/// <param name="apiPort">Where <c>/health</c> is.</param>
internal sealed class HealthGate(int proxyPort, int apiPort)
{
    private const int LargestAnswer = 64 * 1024;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan RequestLimit = TimeSpan.FromSeconds(2);

    /// <summary>Waits at most ten seconds, less when the process ends.</summary>
    /// <returns>Null when it serves; else why it does not.</returns>
    public async Task<string?> WaitAsync(ChildProcess proxy, string token, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        var serving = ServesAsync(token, limit.Token);
        try
        {
            if (await Task.WhenAny(serving, proxy.Exited) == serving)
            {
                await serving;
                return null;
            }

            await limit.CancelAsync();
            return $"it ended with exit code {await proxy.Exited}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return "timeout waiting for proxy health check";
        }
    }

    /// <summary>Whether an answer of the API is a 200 of the proxy that was started with this token.</summary>
    public static bool Names(string answer, string token)
    {
        var open = answer.IndexOf('{', StringComparison.Ordinal);
        var close = answer.LastIndexOf('}');
        if (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal) || open < 0 || close < open)
            return false;
        try
        {
            using var json = JsonDocument.Parse(answer.AsMemory(open, close - open + 1));
            return json.RootElement.TryGetProperty("start_token", out var start) && start.ValueEquals(token);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private async Task ServesAsync(string token, CancellationToken cancellationToken)
    {
        while (!await IsHealthyAsync(token, cancellationToken) || !await AnswersAsync(cancellationToken))
            await Task.Delay(Poll, cancellationToken);
    }

    private async Task<bool> IsHealthyAsync(string token, CancellationToken cancellationToken)
        => Names(await AskAsync(apiPort, $"GET /health HTTP/1.1\r\nHost: localhost:{apiPort}\r\nConnection: close\r\n\r\n", cancellationToken), token);

    // A SOCKS greeting that offers every method (RFC 1928, 3): answered with two bytes, and a client that leaves then is nothing to log.
    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
        => (await AskAsync(proxyPort, "\x05\x02\x00\x02", cancellationToken)).StartsWith('\x05');

    private static async Task<string> AskAsync(int port, string question, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(RequestLimit);
        var answer = new byte[LargestAnswer];
        var length = 0;
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), limit.Token);
            await socket.SendAsync(Encoding.ASCII.GetBytes(question), limit.Token);
            socket.Shutdown(SocketShutdown.Send);
            for (int read; length < answer.Length && (read = await socket.ReceiveAsync(answer.AsMemory(length), limit.Token)) > 0;)
                length += read;
        }
        catch (SocketException)
        {
            // Not listening yet, or gone in the middle: what arrived tells.
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It accepts and says nothing: ask again until the time is over.
        }

        return Encoding.UTF8.GetString(answer, 0, length);
    }
}
