using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Interception;

/// <summary>The <c>proxy</c> section (but <c>api_port</c>, which the API's options hold). All of it needs a restart.</summary>
internal sealed record ProxyOptions
{
    /// <summary>HTTP, HTTPS and SOCKS5, told apart by the first byte.</summary>
    public int Port { get; init; } = 17080;

    /// <summary>Loopback only. ::1 is left out, with a log line, where the machine has no IPv6.</summary>
    public ImmutableArray<IPAddress> Listen { get; init; } = [IPAddress.Loopback, IPAddress.IPv6Loopback];

    /// <summary>How long a client may take to send the head of a request, or pause within its body: 30 s; 0 is no limit.</summary>
    public TimeSpan ReadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client may refuse to take a byte of the answer: 30 s; 0 is no limit. Not the length of a download.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an upstream may send nothing at all before the client gets 504: 10 min, since model APIs think that long; 0 is no limit.</summary>
    public TimeSpan UpstreamTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The proxy to go through, <c>http://host:port</c>. Null with <see cref="UpstreamFromEnvironment"/> off: go directly.</summary>
    public Uri? Upstream { get; init; }

    /// <summary><c>user:password</c> for it, percent-decoded: kept apart so that printing the options does not print it.</summary>
    public SecretText? UpstreamCredentials { get; init; }

    /// <summary>Nothing is written for <c>upstream</c>: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of our own environment say where to go.</summary>
    public bool UpstreamFromEnvironment { get; init; } = true;

    /// <summary>How long requests and fills may take to end after SIGTERM: 4.5 s, inside the 5 s the init waits before SIGKILL.</summary>
    public TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(4.5);

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static ProxyOptions Read(ConfigNode section, ProxyOptions? fallback = null)
    {
        fallback ??= new ProxyOptions();
        var upstream = section["upstream"];
        var (address, credentials) = upstream.IsAbsent ? (fallback.Upstream, fallback.UpstreamCredentials) : ReadUpstream(upstream);
        return new ProxyOptions
        {
            Port = section["port"].AsInt(fallback.Port, 1, 65535),
            Listen = section["listen"].AsAddresses(fallback.Listen),
            ReadTimeout = section["read_timeout"].AsDuration(fallback.ReadTimeout),
            WriteTimeout = section["write_timeout"].AsDuration(fallback.WriteTimeout),
            UpstreamTimeout = section["upstream_timeout"].AsDuration(fallback.UpstreamTimeout),
            Upstream = address,
            UpstreamCredentials = credentials,
            UpstreamFromEnvironment = upstream.IsAbsent && fallback.UpstreamFromEnvironment,
            DrainLimit = section["drain_limit"].AsDuration(fallback.DrainLimit, max: TimeSpan.FromMinutes(10)),
        };
    }

    // The text is not repeated in the error: it may hold a password.
    private static (Uri? Address, SecretText? Credentials) ReadUpstream(ConfigNode node)
    {
        if (node.AsString() is not { } text || text == "direct")
            return default;
        if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == "http" && uri.Host.Length > 0
            && uri.PathAndQuery == "/" && uri.Fragment.Length == 0)
        {
            var credentials = uri.UserInfo.Length == 0 ? null : new SecretText(SecretSource.Literal, Uri.UnescapeDataString(uri.UserInfo));
            return (new Uri($"http://{uri.Authority}"), credentials);
        }

        node.Error("must be http://[user:password@]host:port, or the word direct");
        return default;
    }

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
        json.WriteString("drain_limit", Quantity.Format(DrainLimit));
        if (Upstream is { } upstream)
            json.WriteString("upstream", $"http://{(UpstreamCredentials is null ? "" : "***@")}{upstream.Authority}");
        else if (!UpstreamFromEnvironment)
            json.WriteString("upstream", "direct");
        json.WriteEndObject();
    }
}
