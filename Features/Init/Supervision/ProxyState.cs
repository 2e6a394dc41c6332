using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>
/// What the tools of a container are told of its proxy, whichever user runs them: the configuration itself is root's and the proxy's to read.
/// Root's own file, readable by all, without any secret.
/// </summary>
internal sealed record ProxyState
{
    private static readonly string[] Names = ["CONFIG_FILE", "PROXY_PORT", "API_PORT", "CERT_DIR"];

    public string? Config { get; init; }

    public int Port { get; init; } = 17080;

    /// <summary>Where the API is reached from here, as in <c>127.0.0.1:17081</c>.</summary>
    public string Api { get; init; } = "127.0.0.1:17081";

    public string CertDir { get; init; } = "";

    public string CacheDir { get; init; } = "";

    /// <summary>The path of the API's token, which root and the proxy may read.</summary>
    public string TokenFile { get; init; } = "";

    /// <summary>The audit log, which root and the proxy may read.</summary>
    public string AuditFile { get; init; } = "/.data/proxy/audit.jsonl";

    /// <summary>When the policy that the start has read was written: <see cref="PolicyEdits.Written"/>.</summary>
    public string? Policy { get; init; }

    /// <summary>Where the proxy's log is; null: its standard output.</summary>
    public string? LogFile { get; init; }

    /// <summary><c>init.nested_docker</c>.</summary>
    public bool NestedDocker { get; init; } = true;

    /// <summary>The mode of egress in force; null until the way out is led.</summary>
    public string? Egress { get; init; }

    /// <summary>The mode that was asked for.</summary>
    public string? EgressAsked { get; init; }

    /// <summary>Where redirected connections arrive.</summary>
    public int EgressPort { get; init; }

    /// <summary>The agent-api's process; 0 until it is started.</summary>
    public int Agent { get; init; }

    /// <summary><c>egress.probe</c>.</summary>
    public IReadOnlyList<string> Probe { get; init; } = [];

    /// <summary>The variables that choose a proxy as the container was started with them. A tool that has another value was told so by its caller.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; init; } = new Dictionary<string, string>();

    /// <summary>Of an environment, those that choose a proxy.</summary>
    public static Dictionary<string, string> VariablesOf(IReadOnlyDictionary<string, string> environment) => Names
        .Where(name => environment.GetValueOrDefault(name) is { Length: > 0 }).ToDictionary(name => name, name => environment[name]);

    /// <exception cref="IOException">The directory cannot be written to.</exception>
    /// <exception cref="UnauthorizedAccessException">The same, for want of permission.</exception>
    public void Write(ContainerPaths paths)
    {
        const UnixFileMode readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        Directory.CreateDirectory(Path.GetDirectoryName(paths.ProxyState)!);
        AtomicFile.Write(paths.ProxyState, JsonSerializer.SerializeToUtf8Bytes(this, ProxyStateJson.Default.ProxyState), readable);
    }

    /// <summary>Null where none was written, or by somebody else than root.</summary>
    public static ProxyState? Read(ContainerPaths paths)
    {
        if (Libc.StatusOf(paths.ProxyState) is not { Kind: FileKind.Regular, Owner.User: 0 })
            return null;
        try
        {
            return JsonSerializer.Deserialize(RegularFile.ReadAllBytes(paths.ProxyState), ProxyStateJson.Default.ProxyState);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(ProxyState))]
internal sealed partial class ProxyStateJson : JsonSerializerContext;
