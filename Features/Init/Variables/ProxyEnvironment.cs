namespace Discobot.Features.Init.Variables;

/// <summary>The variables that send clients through the proxy and let them trust it.</summary>
internal static class ProxyEnvironment
{
    /// <summary>What never goes through the proxy.</summary>
    public const string Local = "localhost,127.0.0.1,::1";

    private const string NodeFile = "NODE_EXTRA_CA_CERTS";

    // Nix's own programs ask it first; images of Nix set it.
    private const string NixFile = "NIX_SSL_CERT_FILE";

    /// <summary>The nine variables that every client in the container gets, and those that point more clients at the trusted authorities.</summary>
    /// <param name="settings">The configuration in force.</param>
    /// <param name="trust">By what clients can trust the proxy.</param>
    /// <param name="environment">The container's: the user's own exceptions are kept.</param>
    public static IReadOnlyList<KeyValuePair<string, string>> Variables(ProxySummary settings, ClientTrust trust, IReadOnlyDictionary<string, string> environment)
    {
        var proxy = $"http://localhost:{settings.Port}";
        var direct = Exceptions(environment);
        var authority = trust.Additional ?? ContainerPaths.CaCertificateSeen;
        var variables = new List<KeyValuePair<string, string>>
        {
            new("HTTP_PROXY", proxy), new("HTTPS_PROXY", proxy), new("ALL_PROXY", proxy), new("NO_PROXY", direct),
            new("http_proxy", proxy), new("https_proxy", proxy), new("all_proxy", proxy), new("no_proxy", direct),
        };

        // Proxies of other schemes stay as they are, without the password that they may have.
        variables.AddRange(environment
            .Where(v => v.Key.EndsWith("_PROXY", StringComparison.OrdinalIgnoreCase) && WithoutUser(v.Value) != v.Value && !variables.Exists(ours => ours.Key == v.Key))
            .Select(v => KeyValuePair.Create(v.Key, WithoutUser(v.Value))));

        // Beyond the nine of every container: what the user has set leads to a file without ours, and where the system's store has not taken
        // it, there is no other way to trust it.
        variables.AddRange(Authorities(trust.Bundle, authority)
            .Where(v => v.Key == NodeFile || settings.Init.ExtraEnvironment || !trust.IsTheSystems || environment.ContainsKey(v.Key)));
        if (trust.Bundle is { } bundle && environment.ContainsKey(NixFile))
            variables.Add(new(NixFile, bundle));
        if (trust.HasJava)
            variables.Add(new(JavaOptions.Variable, JavaOptions.Value(settings.Port, direct.Split(','), environment.GetValueOrDefault(JavaOptions.Variable))));
        return variables;
    }

    /// <summary>An environment without anything that points at our own proxy: the proxy itself must not call itself.</summary>
    public static Dictionary<string, string> Without(IReadOnlyDictionary<string, string> environment, int port)
    {
        var result = new Dictionary<string, string>(environment);
        foreach (var (name, value) in environment)
        {
            if (name.EndsWith("_PROXY", StringComparison.OrdinalIgnoreCase)
                && Uri.TryCreate(value, UriKind.Absolute, out var uri) && uri.IsLoopback && uri.Port == port)
                result.Remove(name);
        }

        return result;
    }

    // Of an address alone: other things are called ..._PROXY as well.
    private static string WithoutUser(string proxy)
    {
        var begin = proxy.IndexOf("://", StringComparison.Ordinal) + 3;
        if (begin < 3)
            return proxy;
        var end = proxy.AsSpan(begin).IndexOfAny("/?#") is var rest and >= 0 ? begin + rest : proxy.Length;
        return proxy[..begin] + proxy[(proxy.LastIndexOf('@', end - 1, end - begin) is var at and >= 0 ? at + 1 : begin)..];
    }

    /// <summary>Points clients that bring authorities of their own, and would miss the one we added, at the full bundle.</summary>
    /// <param name="bundle">Every authority that is trusted; null when there is no such file.</param>
    /// <param name="authority">Ours alone, for clients that add it to their own.</param>
    public static IEnumerable<KeyValuePair<string, string>> Authorities(string? bundle, string authority)
    {
        if (bundle is not null)
        {
            string[] files = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"];
            foreach (var name in files)
                yield return new(name, bundle);
        }

        yield return new(NodeFile, authority);
        yield return new("DENO_CERT", bundle ?? authority);
        yield return new("NODE_USE_ENV_PROXY", "1");
        yield return new("UV_SYSTEM_CERTS", "true");
        yield return new("UV_NATIVE_TLS", "true");
    }

    /// <summary>What goes without the proxy, with commas between: ourselves, and what the user has excepted.</summary>
    public static string Exceptions(IReadOnlyDictionary<string, string> environment) => string.Join(',',
        $"{Local},{environment.GetValueOrDefault("NO_PROXY")},{environment.GetValueOrDefault("no_proxy")}"
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct());
}
