namespace Discobot.Integration.Init;

/// <summary>The seed's nine variables, exactly.</summary>
internal static class ProxyVariables
{
    public static readonly string[] Nine =
    [
        "HTTP_PROXY=http://localhost:17080", "HTTPS_PROXY=http://localhost:17080", "ALL_PROXY=http://localhost:17080", "NO_PROXY=localhost,127.0.0.1,::1",
        "http_proxy=http://localhost:17080", "https_proxy=http://localhost:17080", "all_proxy=http://localhost:17080", "no_proxy=localhost,127.0.0.1,::1",
        "NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt",
    ];
}
