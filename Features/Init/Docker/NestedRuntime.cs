using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Stands before runc on the Docker daemon's PATH: whatever container or build step was given the proxy (by the docker client, from
/// <c>~/.docker/config.json</c>), and every one where the network itself leads to the proxy, gets the authorities as well, in a file and in the variables that name it. The file is mounted below
/// <c>/dev</c>, which is no part of an image, so that builds leave no trace of it.
/// </summary>
/// <param name="bundle">The file with every authority this container trusts.</param>
/// <param name="authority">Our own alone.</param>
/// <param name="forAll">Whether also those get them that know of no proxy.</param>
internal sealed class NestedRuntime(string bundle, string authority, bool forAll = false)
{
    public const string SeenBundle = "/dev/discobot-ca-bundle.crt";
    public const string SeenAuthority = "/dev/discobot-ca.crt";
    private const int LargestFile = 16 << 20;

    /// <summary>Completes what a runc command is about to start.</summary>
    /// <param name="arguments">runc's own.</param>
    public void Prepare(IReadOnlyList<string> arguments)
    {
        ChangeAny(arguments, (container, _) => Complete(container), AddVariables);
    }

    /// <summary>Changes what a runc command is about to start; other commands start nothing.</summary>
    /// <param name="arguments">runc's own.</param>
    /// <param name="container">Changes a container's description, in the directory that it is given.</param>
    /// <param name="process">Changes the description of a further process.</param>
    public static void ChangeAny(IReadOnlyList<string> arguments, Func<JsonObject, string, bool> container, Func<JsonObject, bool> process)
    {
        var bundle = ValueOf(arguments, "--bundle", "-b") ?? ".";
        if (arguments.Contains("create") || arguments.Contains("run"))
            Change(Path.Combine(bundle, "config.json"), root => container(root, bundle));
        else if (arguments.Contains("exec") && ValueOf(arguments, "--process", "-p") is { } file)
            Change(file, process);
    }

    /// <summary>Adds mounts and variables to a container's description (OCI runtime-spec 1.0, config.json); true when it was changed.</summary>
    public bool Complete(JsonObject container)
    {
        if (container["process"] is not JsonObject process || !AddVariables(process))
            return false;
        if (container["mounts"] is not JsonArray mounts)
            container["mounts"] = mounts = [];
        mounts.Add((JsonNode)Mount(bundle, SeenBundle));
        mounts.Add((JsonNode)Mount(authority, SeenAuthority));
        return true;
    }

    /// <summary>Adds the variables to a process that has the proxy's, or to any, unless it has its own; true when it was changed.</summary>
    public bool AddVariables(JsonObject process)
    {
        if (process["env"] is not JsonArray environment)
        {
            if (!forAll)
                return false;
            process["env"] = environment = [];
        }

        var names = environment.Select(e => e!.GetValue<string>().Split('=')[0]).ToHashSet(StringComparer.Ordinal);
        if (!(forAll || names.Contains("HTTPS_PROXY")) || names.Contains("DISCOBOT_NESTED"))
            return false;
        environment.Add((JsonNode?)JsonValue.Create("DISCOBOT_NESTED=1"));
        foreach (var (name, value) in ProxyEnvironment.Authorities(SeenBundle, SeenAuthority).Where(v => !names.Contains(v.Key)))
            environment.Add((JsonNode?)JsonValue.Create($"{name}={value}"));
        return true;
    }

    private static JsonObject Mount(string source, string destination) => new()
    {
        ["destination"] = destination,
        ["type"] = "bind",
        ["source"] = source,
        ["options"] = new JsonArray("bind", "ro"),
    };

    private static string? ValueOf(IReadOnlyList<string> arguments, string name, string shortName)
    {
        for (var i = 0; i < arguments.Count; i++)
        {
            if (arguments[i].StartsWith(name + "=", StringComparison.Ordinal))
                return arguments[i][(name.Length + 1)..];
            if ((arguments[i] == name || arguments[i] == shortName) && i + 1 < arguments.Count)
                return arguments[i + 1];
        }

        return null;
    }

    private static void Change(string path, Func<JsonObject, bool> change)
    {
        using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var name = Path.GetFileName(path);
        if (directory.ReadBytes(name, LargestFile) is { } bytes && JsonNode.Parse(bytes) is JsonObject root && change(root))
            directory.WriteBytes(name, System.Text.Encoding.UTF8.GetBytes(root.ToJsonString()), 0x1A4, directory.Status(name)!.Value.Owner);
    }
}
