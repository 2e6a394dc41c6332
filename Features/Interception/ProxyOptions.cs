using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>The <c>proxy</c> section (but <c>api_port</c>, which the API's options hold). All of it needs a restart.</summary>
internal sealed record ProxyOptions
{
    /// <summary>HTTP, HTTPS and SOCKS5, told apart by the first byte.</summary>
    public int Port { get; init; } = 17080;

    /// <summary>Loopback only. ::1 is left out, with a log line, where the machine has no IPv6.</summary>
    public ImmutableArray<IPAddress> Listen { get; init; } = [IPAddress.Loopback, IPAddress.IPv6Loopback];

    /// <summary>How long a client may take to send the head of a request: 30 s; 0 is no limit. Within a body it may pause as it likes.</summary>
    public TimeSpan ReadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an HTTP/1.1 client may refuse to take any of the answer: 30 s; 0 is no limit. Not the length of a download.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an upstream may do nothing while its answer is waited for, before the client gets 504: 10 min, since model APIs
    /// think that long; 0 is no limit. The answer's body may pause as it likes.</summary>
    public TimeSpan UpstreamTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a WebSocket, a stream of events or a tunnel may be silent: for ever (0), as without a proxy.</summary>
    public TimeSpan StreamIdleTimeout { get; init; }

    /// <summary>How many clients may be connected at a time, to each address listened on: 20,000. Further ones are closed at once.</summary>
    public int MaxConnections { get; init; } = 20_000;

    /// <summary>The proxy to go through. Null with <see cref="UpstreamFromEnvironment"/> off: go directly.</summary>
    public ParentAddress? Upstream { get; init; }

    /// <summary>Where its address is kept, when that is a secret of the environment or of a file.</summary>
    public SecretText? UpstreamSecret { get; init; }

    /// <summary>Nothing is written for <c>upstream</c>: HTTP_PROXY, HTTPS_PROXY and ALL_PROXY of our own environment say where to go.</summary>
    public bool UpstreamFromEnvironment { get; init; } = true;

    /// <summary>How long requests and fills may take to end after SIGTERM: 4.5 s, inside the 5 s the init waits before SIGKILL.</summary>
    public TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(4.5);

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static ProxyOptions Read(ConfigNode section, ProxyOptions? fallback = null)
    {
        fallback ??= new ProxyOptions();
        var upstream = section["upstream"];
        var (address, secret) = upstream.IsAbsent ? (fallback.Upstream, fallback.UpstreamSecret) : ReadUpstream(upstream);
        return new ProxyOptions
        {
            Port = section["port"].AsInt(fallback.Port, 1, 65535),
            Listen = section["listen"].AsAddresses(fallback.Listen),
            ReadTimeout = section["read_timeout"].AsDuration(fallback.ReadTimeout),
            WriteTimeout = section["write_timeout"].AsDuration(fallback.WriteTimeout),
            UpstreamTimeout = section["upstream_timeout"].AsDuration(fallback.UpstreamTimeout),
            StreamIdleTimeout = section["stream_idle_timeout"].AsDuration(fallback.StreamIdleTimeout),
            MaxConnections = section["max_connections"].AsInt(fallback.MaxConnections, 1, 1_000_000),
            Upstream = address,
            UpstreamSecret = secret,
            UpstreamFromEnvironment = upstream.IsAbsent && fallback.UpstreamFromEnvironment,
            DrainLimit = section["drain_limit"].AsDuration(fallback.DrainLimit, max: TimeSpan.FromMinutes(10)),
        };
    }

    // The text is not repeated in the error: it may hold a password.
    private static (ParentAddress? Address, SecretText? Secret) ReadUpstream(ConfigNode node)
    {
        if (node.AsSecret() is not { } text || text is { Source: SecretSource.Literal, Text: "direct" })
            return default;
        if (text.Source != SecretSource.Literal)
            return (null, text);
        if (ParentAddress.TryParse(text.Text, out var address))
            return (address, null);
        node.Error($"must be {ParentAddress.Allowed}, or env:NAME or file:/path that holds it, or the word direct");
        return default;
    }

    /// <summary>The values that may hold a password, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets() => UpstreamSecret is { } secret ? [("proxy.upstream", secret)] : [];

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json, int apiPort)
    {
        json.WriteStartObject();
        json.WriteNumber("port", Port);
        json.WriteNumber("api_port", apiPort);
        json.WriteList("listen", Listen);
        json.WriteString("read_timeout", Quantity.Format(ReadTimeout));
        json.WriteString("write_timeout", Quantity.Format(WriteTimeout));
        json.WriteString("upstream_timeout", Quantity.Format(UpstreamTimeout));
        json.WriteString("stream_idle_timeout", Quantity.Format(StreamIdleTimeout));
        json.WriteString("drain_limit", Quantity.Format(DrainLimit));
        json.WriteNumber("max_connections", MaxConnections);
        if (!UpstreamFromEnvironment)
            json.WriteString("upstream", Upstream?.ToMaskedText() ?? UpstreamSecret?.ToString() ?? "direct");
        json.WriteEndObject();
    }
}
