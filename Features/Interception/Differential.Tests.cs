using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>
/// The same requests and answers through the proxy and without it: what the server and the client see is the same, but for the list in
/// docs/wire.md, which is what <see cref="Message.EndToEnd"/> leaves out.
/// </summary>
public sealed class DifferentialTests : IAsyncLifetime
{
    private const int Workers = 4;

    // Each case is made of its own number.
    private static readonly int Count = int.Parse(Environment.GetEnvironmentVariable("DIFFERENTIAL_COUNT") ?? "1200", CultureInfo.InvariantCulture);
    private static readonly int First = int.Parse(Environment.GetEnvironmentVariable("DIFFERENTIAL_FIRST") ?? "0", CultureInfo.InvariantCulture);

    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("cache: {enabled: false}");

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [InlineData("plain")]
    [InlineData("tunnel")]
    public async Task With_it_and_without_it_both_sides_see_the_same(string way)
    {
        var next = First - 1;
        var failures = new List<string>();
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async _ =>
        {
            await using var origin = new RecordingOrigin();
            await using var direct = new RecordingClient(() => ConnectAsync(origin.Port));
            await using var proxied = new RecordingClient(() => Wire.ConnectAsync(_proxy, way, origin.Authority));
            while (Interlocked.Increment(ref next) is var number && number < First + Count && failures.Count < 5)
            {
                var exchange = new GeneratedExchange(number, origin.Authority);
                var without = await AskAsync(origin, direct, exchange, "");
                var with = await AskAsync(origin, proxied, exchange, way == "plain" ? $"http://{origin.Authority}" : "");
                if (with == without && !without.StartsWith("failed", StringComparison.Ordinal))
                    continue;
                lock (failures)
                    failures.Add($"case {number}\n--- without\n{without}\n--- with\n{with}");
            }
        }));

        Assert.True(failures.Count == 0, string.Join("\n\n", failures.Take(5)));
    }

    private static async Task<string> AskAsync(RecordingOrigin origin, RecordingClient client, GeneratedExchange exchange, string prefix)
    {
        origin.Answer = Encoding.Latin1.GetBytes(exchange.Answer);
        origin.EndsWithConnection = exchange.AnswerEndsWithConnection;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            var answers = await client.AskAsync(exchange.Request(prefix), exchange.Method == "HEAD", limit.Token);
            var seen = await origin.Requests.ReadAsync(limit.Token);
            return $"{seen.EndToEnd(isRequest: true)}\n=> {string.Join("\n-> ", answers.Select(a => a.EndToEnd(isRequest: false)))}";
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or FormatException)
        {
            await client.DisposeAsync();
            while (origin.Requests.TryRead(out _))
            {
            }

            return $"failed: {e.GetType().Name} {e.Message}";
        }
    }

    private static async Task<Stream> ConnectAsync(int port)
    {
        var tcp = new TcpClient { NoDelay = true };
        await tcp.ConnectAsync(IPAddress.Loopback, port);
        return tcp.GetStream();
    }

    /// <summary>A request and the answer to it, made of a number.</summary>
    private sealed class GeneratedExchange
    {
        private const string NameCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        private static readonly string[] Methods = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "PaTch", "M-SEARCH", "PROPFIND", "x"];
        private static readonly string[] Names = ["Accept", "accept", "COOKIE", "Cookie", "User-Agent", "Content-Type", "content-MD5", "X-Forwarded-For", "Via", "If-None-Match", "Forwarded"];
        private static readonly string[] AnswerNames = ["Set-Cookie", "set-cookie", "ETag", "Server", "Date", "Vary", "Content-Type", "Content-Encoding", "WWW-Authenticate", "Link", "Alt-Svc", "Via", "Age"];
        private static readonly int[] Statuses = [200, 200, 200, 201, 204, 205, 206, 299, 301, 304, 400, 401, 404, 407, 413, 418, 499, 500, 503, 599, 600, 799, 999];

        private readonly Random _random;
        private readonly string _target;
        private readonly string _rest;

        public GeneratedExchange(int number, string authority)
        {
            _random = new Random(number);
            Method = Pick(Methods);
            _target = "/" + Text(_random.Next(30), c => c is > ' ' and not ('#' or '\x7f'));
            var old = _random.Next(20) == 0;
            var fields = Fields(Names, mayBeOdd: false).Append($"Host: {authority}\r\n").ToList();
            Shuffle(fields);
            _rest = $" HTTP/1.{(old ? 0 : 1)}\r\n" + string.Concat(fields) + Body(isRequest: true, mayBeChunked: !old, mayHaveTrailers: true);
            Answer = MakeAnswer(old);
        }

        public string Method { get; }

        public string Answer { get; }

        public bool AnswerEndsWithConnection { get; private set; }

        public string Request(string prefix) => $"{Method} {prefix}{_target}{_rest}";

        private string MakeAnswer(bool old)
        {
            var answer = new StringBuilder();
            for (var i = old ? 0 : Math.Max(0, _random.Next(8) - 5); i > 0; i--)
                answer.Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {Pick([100, 102, 103, 199])} Soon\r\n{string.Concat(Fields(AnswerNames, mayBeOdd: true))}\r\n");
            var status = Pick(Statuses);
            var reason = _random.Next(5) == 0 ? "" : " " + Text(_random.Next(12), c => c is >= ' ');
            answer.Append(CultureInfo.InvariantCulture, $"HTTP/1.{(_random.Next(10) == 0 ? 0 : 1)} {status}{reason}\r\n");
            foreach (var field in Fields(AnswerNames, mayBeOdd: true))
                answer.Append(field);
            if (status is 204 or 304 || Method == "HEAD")
                return answer.Append("\r\n").ToString();
            AnswerEndsWithConnection = _random.Next(10) == 0;
            return answer.Append(AnswerEndsWithConnection ? "\r\n" + Text(_random.Next(3000), _ => true) : Body(isRequest: false, mayBeChunked: true, mayHaveTrailers: !old)).ToString();
        }

        // With the fields that frame it, and the empty line.
        private string Body(bool isRequest, bool mayBeChunked, bool mayHaveTrailers)
        {
            var kind = _random.Next(6);
            var body = Text(_random.Next(20) == 0 ? _random.Next(100_000) : _random.Next(300), _ => true);
            if (isRequest && kind == 0)
                return "\r\n";
            if (kind < 4 || !mayBeChunked)
                return $"{Pick(["Content-Length", "content-length"])}: {(kind == 1 ? "00" : "")}{body.Length}\r\n{(kind == 2 ? $"Content-Length: {body.Length}\r\n" : "")}\r\n{body}";
            var chunks = new StringBuilder("Transfer-Encoding: chunked\r\n");
            var trailers = mayHaveTrailers && _random.Next(3) == 0 ? Fields(["X-Checksum", "Server-Timing", "grpc-status"], mayBeOdd: false).ToArray() : [];
            chunks.Append("\r\n");
            for (var at = 0; at < body.Length;)
            {
                var size = Math.Min(body.Length - at, 1 + _random.Next(_random.Next(4) == 0 ? 5000 : 60));
                chunks.Append(CultureInfo.InvariantCulture, $"{size:x}{(_random.Next(10) == 0 ? ";name=value" : "")}\r\n{body.AsSpan(at, size)}\r\n");
                at += size;
            }

            return chunks.Append("0\r\n").Append(string.Concat(trailers)).Append("\r\n").ToString();
        }

        private IEnumerable<string> Fields(string[] known, bool mayBeOdd)
        {
            for (var i = _random.Next(8); i > 0; i--)
            {
                var name = _random.Next(2) == 0 ? Pick(known) : "x" + Text(_random.Next(12), c => NameCharacters.Contains(c, StringComparison.Ordinal));
                if (mayBeOdd && _random.Next(20) == 0)
                    name = "x " + Text(6, c => c is > ' ' and not ':');
                var value = _random.Next(10) == 0 ? "" : Text(_random.Next(40), c => c is not ('\0' or '\r' or '\n')).Trim(' ', '\t');
                if (mayBeOdd && _random.Next(20) == 0)
                    value = $"a{value}{Pick(["\r\n ", "\r\n\t", "\n  "])}b";
                yield return mayBeOdd && _random.Next(40) == 0 ? $"{name}\r\n" : $"{name}:{Pick(["", " ", " ", "  ", "\t"])}{value}{Pick(["", "", " "])}{(mayBeOdd && _random.Next(20) == 0 ? "\n" : "\r\n")}";
            }
        }

        private string Text(int length, Func<char, bool> may)
        {
            var text = new StringBuilder(length);
            while (text.Length < length)
            {
                var one = _random.Next(4) == 0 ? (char)_random.Next(256) : (char)_random.Next(0x20, 0x7f);
                if (may(one))
                    text.Append(one);
            }

            return text.ToString();
        }

        private T Pick<T>(T[] some) => some[_random.Next(some.Length)];

        private void Shuffle(List<string> lines)
        {
            for (var i = lines.Count - 1; i > 0; i--)
            {
                var j = _random.Next(i + 1);
                (lines[i], lines[j]) = (lines[j], lines[i]);
            }
        }
    }

    /// <summary>A message as a lenient peer reads it.</summary>
    private sealed record Message(string FirstLine, List<(string Name, string Value)> Fields, string Body, List<(string Name, string Value)> Trailers)
    {
        private static readonly string[] OfTheConnection = ["Connection", "Transfer-Encoding", "Content-Length", "Keep-Alive", "Trailer"];

        /// <summary>What does not end at this connection (docs/wire.md).</summary>
        public string EndToEnd(bool isRequest)
        {
            // The version is that of the hop.
            var line = isRequest ? FirstLine[..FirstLine.LastIndexOf(' ')] : FirstLine["HTTP/1.x ".Length..].TrimEnd(' ');
            return $"{line}\n{Lines(Fields)}\n[{Body.Length}:{Body.GetHashCode(StringComparison.Ordinal)}]\n{Lines(Trailers)}";
        }

        private static string Lines(List<(string Name, string Value)> fields) => string.Join('\n', fields
            .Where(f => !OfTheConnection.Contains(f.Name, StringComparer.OrdinalIgnoreCase)).Select(f => $"{f.Name}: {f.Value}"));

        public static async Task<Message> ReadAsync(ByteReader reader, bool isRequest, bool isHead, CancellationToken limit)
        {
            var line = await reader.ReadLineAsync(limit);
            var fields = await ReadFieldsAsync(reader, limit);
            string? Field(string name) => fields.Where(f => f.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(f => f.Value).FirstOrDefault();
            var status = isRequest ? 0 : int.Parse(line.AsSpan(9, 3), CultureInfo.InvariantCulture);
            if (isHead || status is (>= 100 and < 200) or 204 or 304)
                return new(line, fields, "", []);
            if (Field("Transfer-Encoding") is not null)
            {
                var body = new StringBuilder();
                while (int.Parse((await reader.ReadLineAsync(limit)).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) is var size and > 0)
                {
                    body.Append(await reader.ReadAsync(size, limit));
                    await reader.ReadLineAsync(limit);
                }

                return new(line, fields, body.ToString(), await ReadFieldsAsync(reader, limit));
            }

            if (Field("Content-Length") is { } length)
                return new(line, fields, await reader.ReadAsync(int.Parse(length, CultureInfo.InvariantCulture), limit), []);
            return new(line, fields, isRequest ? "" : await reader.ReadToEndAsync(limit), []);
        }

        private static async Task<List<(string Name, string Value)>> ReadFieldsAsync(ByteReader reader, CancellationToken limit)
        {
            var lines = new List<string>();
            while (await reader.ReadRawLineAsync(limit) is var line && line.TrimEnd('\r', '\n').Length > 0)
            {
                if (line[0] is ' ' or '\t' && lines.Count > 0)
                    lines[^1] = lines[^1].Replace('\r', ' ').Replace('\n', ' ') + line;
                else
                    lines.Add(line);
            }

            return [.. lines.Select(line => line.TrimEnd('\r', '\n')).Select(line => line.IndexOf(':', StringComparison.Ordinal) is var colon && colon < 0
                ? (line.Trim(' ', '\t'), "")
                : (line[..colon].Trim(' ', '\t'), line[(colon + 1)..].Trim(' ', '\t')))];
        }
    }

    private sealed class RecordingOrigin : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Channel<Message> _requests = Channel.CreateUnbounded<Message>();

        public RecordingOrigin()
        {
            _listener.Start();
            _ = _listener.ServeEachAsync(ServeAsync);
        }

        public ChannelReader<Message> Requests => _requests.Reader;

        public byte[] Answer { get; set; } = [];

        public bool EndsWithConnection { get; set; }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public string Authority => $"localhost:{Port}";

        public ValueTask DisposeAsync()
        {
            _listener.Dispose();
            return ValueTask.CompletedTask;
        }

        private async Task ServeAsync(TcpClient client)
        {
            using (client)
            {
                client.NoDelay = true;
                var reader = new ByteReader(client.GetStream());
                try
                {
                    while (true)
                    {
                        var request = await Message.ReadAsync(reader, isRequest: true, isHead: false, default);
                        var (answer, isLast) = (Answer, EndsWithConnection);
                        _requests.Writer.TryWrite(request);
                        await client.GetStream().WriteAsync(answer);
                        if (isLast || request.FirstLine.EndsWith("1.0", StringComparison.Ordinal))
                            return;
                    }
                }
                catch (IOException)
                {
                    // The other side is gone.
                }
            }
        }
    }

    private sealed class RecordingClient(Func<Task<Stream>> connect) : IAsyncDisposable
    {
        private Stream? _stream;
        private ByteReader? _reader;

        public async Task<List<Message>> AskAsync(string request, bool isHead, CancellationToken limit)
        {
            if (_stream is null)
                _reader = new ByteReader(_stream = await connect());
            await _stream.WriteAsync(Encoding.Latin1.GetBytes(request), limit);
            var answers = new List<Message>();
            while (answers.Count == 0 || answers[^1].FirstLine[9] == '1')
                answers.Add(await Message.ReadAsync(_reader!, isRequest: false, isHead, limit));
            var last = answers[^1];
            if (_reader!.IsOver || request.Contains(" HTTP/1.0\r\n", StringComparison.Ordinal) || last.FirstLine.StartsWith("HTTP/1.0", StringComparison.Ordinal)
                || last.Fields.Exists(f => f.Name == "Connection" && f.Value == "close"))
                await DisposeAsync();
            return answers;
        }

        public async ValueTask DisposeAsync()
        {
            if (_stream is not null)
                await _stream.DisposeAsync();
            _stream = null;
        }
    }

    /// <summary>Bytes, as Latin-1.</summary>
    private sealed class ByteReader(Stream stream)
    {
        private readonly byte[] _buffer = new byte[8192];
        private int _start;
        private int _end;

        public bool IsOver { get; private set; }

        public async Task<string> ReadLineAsync(CancellationToken limit) => (await ReadRawLineAsync(limit)).TrimEnd('\n').TrimEnd('\r');

        public async Task<string> ReadRawLineAsync(CancellationToken limit)
        {
            var line = new StringBuilder();
            while (line.Length == 0 || line[^1] != '\n')
            {
                var one = await NextAsync(limit);
                line.Append(one >= 0 ? (char)one : throw new IOException($"The connection ended in '{line}'."));
            }

            return line.ToString();
        }

        public async Task<string> ReadAsync(int count, CancellationToken limit)
        {
            var text = new StringBuilder(count);
            while (text.Length < count)
                text.Append(await NextAsync(limit) is var one and >= 0 ? (char)one : throw new IOException("The connection ended in a body."));
            return text.ToString();
        }

        public async Task<string> ReadToEndAsync(CancellationToken limit)
        {
            var text = new StringBuilder();
            while (await NextAsync(limit) is var one and >= 0)
                text.Append((char)one);
            return text.ToString();
        }

        private ValueTask<int> NextAsync(CancellationToken limit) => _start < _end ? new(_buffer[_start++]) : FillAsync(limit);

        private async ValueTask<int> FillAsync(CancellationToken limit)
        {
            (_start, _end) = (0, await stream.ReadAsync(_buffer, limit));
            IsOver = _end == 0;
            return IsOver ? -1 : _buffer[_start++];
        }
    }
}
