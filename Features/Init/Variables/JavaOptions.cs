namespace Discobot.Features.Init.Variables;

/// <summary>Java reads neither HTTP_PROXY nor the system's bundle: it is told of both by <c>JAVA_TOOL_OPTIONS</c>.</summary>
internal static class JavaOptions
{
    public const string Variable = "JAVA_TOOL_OPTIONS";

    /// <summary>Whether the image has a Java.</summary>
    public static bool HasJava(Container container)
    {
        if (container.HasProgram("java")
            || (container.Environment.GetValueOrDefault("JAVA_HOME") is ['/', ..] home && File.Exists(container.Paths.In(home + "/bin/java"))))
            return true;
        var all = container.Paths.In("/usr/lib/jvm");
        return Directory.Exists(all) && Directory.EnumerateDirectories(all).Any(jvm => File.Exists(Path.Combine(jvm, "bin", "java")));
    }

    /// <summary>The variable's value.</summary>
    /// <param name="port">The proxy's.</param>
    /// <param name="direct">Hosts that are not to be proxied, as in NO_PROXY.</param>
    /// <param name="own">What the container's environment says already: it comes last and therefore counts.</param>
    public static string Value(int port, IEnumerable<string> direct, string? own)
    {
        var options = string.Join(' ',
            $"-Djavax.net.ssl.trustStore={ContainerPaths.JavaTrustStoreSeen} -Djavax.net.ssl.trustStoreType=PKCS12",
            $"-Dhttp.proxyHost=localhost -Dhttp.proxyPort={port} -Dhttps.proxyHost=localhost -Dhttps.proxyPort={port}",
            $"-Dhttp.nonProxyHosts={string.Join('|', direct.SelectMany(Patterns).Distinct())}");
        return string.IsNullOrWhiteSpace(own) ? options : $"{options} {own}";
    }

    // NO_PROXY means a domain and all below it; Java (Networking Properties, http.nonProxyHosts) wants that said with a star. Ranges of
    // addresses cannot be said at all.
    private static IEnumerable<string> Patterns(string entry)
    {
        if (entry.Contains('/', StringComparison.Ordinal))
            return [];
        var name = entry.TrimStart('*').TrimStart('.');
        if (name.Length == 0)
            return ["*"];
        if (name.Contains(':', StringComparison.Ordinal))
            return [$"[{name.Trim('[', ']')}]"];
        return char.IsAsciiDigit(name[^1]) || name == "localhost" ? [name] : [name, $"*.{name}"];
    }
}
