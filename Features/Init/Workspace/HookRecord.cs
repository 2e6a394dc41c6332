using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Init.Workspace;

/// <summary>What a hook wrote and how it ended, kept in the agent's home: <c>~/.discobot/SESSION/hooks</c>. The agent may rearrange that
/// tree at any time, so it is reached without following links. A record that cannot be kept, as on a full volume, is told of once and
/// keeps no hook from its work.</summary>
internal sealed class HookRecord(Container container, SessionHook hook) : IDisposable
{
    private const int LargestStatus = 1 << 20;
    private readonly Lock _lock = new();
    private DirectoryHandle? _hooks;
    private SafeFileHandle? _log;
    private long _length;
    private bool _failed;

    /// <summary>Begins a run: an empty log in the place of the last one.</summary>
    public void Begin() => Try(() =>
    {
        var owner = container.Agent.Owner;
        using var home = DirectoryHandle.OpenTrusted(container.Paths.Home);
        _hooks = home.OpenOrCreate($".discobot/{container.Session.SessionId}/hooks", 0x1ED, owner);
        using var output = _hooks.OpenOrCreate("output", 0x1ED, owner);
        output.Remove(hook.Id + ".log");
        _log = output.CreateFile(hook.Id + ".log", 0x1A4, owner);
    });

    /// <summary>Adds a line of its output; after the end of the record nothing, though it left somebody who still writes.</summary>
    public void Write(string line) => Try(() =>
    {
        if (_log is null)
            return;
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        DiskFailure.Write(_log, bytes, _length);
        _length += bytes.Length;
    });

    /// <summary>Counts the run in <c>status.json</c>.</summary>
    public void Finish(int exitCode) => Try(() =>
    {
        if (_hooks is null)
            return;
        var status = ReadStatus(_hooks);
        var hooks = status["hooks"] as JsonObject ?? [];
        status["hooks"] = hooks;
        var entry = hooks[hook.Id] as JsonObject ?? [];
        hooks[hook.Id] = entry;
        entry["name"] = JsonValue.Create(hook.Name);
        entry["type"] = JsonValue.Create(hook.Type);
        entry["lastRunAt"] = JsonValue.Create(DateTimeOffset.UtcNow.ToString("O"));
        entry["lastExitCode"] = JsonValue.Create(exitCode);
        entry["lastResult"] = JsonValue.Create(exitCode == 0 ? "success" : "failure");
        entry["runCount"] = JsonValue.Create(Count(entry, "runCount") + 1);
        entry["failCount"] = JsonValue.Create(Count(entry, "failCount") + (exitCode == 0 ? 0 : 1));
        _hooks.WriteBytes("status.json", Encoding.UTF8.GetBytes(status.ToJsonString() + "\n"), 0x1A4, container.Agent.Owner);
    });

    /// <summary>The last exit code of each hook of a session, by the hook's id.</summary>
    /// <exception cref="IOException">The agent has put something else there.</exception>
    public static Dictionary<string, int> ExitCodes(string home, string session)
    {
        using var top = DirectoryHandle.OpenTrusted(home);
        using var directory = top.TryOpen($".discobot/{session}/hooks");
        var hooks = directory is null ? null : ReadStatus(directory)["hooks"] as JsonObject;
        return (hooks ?? []).Select(h => (h.Key, Code: (h.Value as JsonObject)?["lastExitCode"] is JsonValue value && value.TryGetValue<int>(out var code) ? code : (int?)null))
            .Where(h => h.Code is not null).ToDictionary(h => h.Key, h => h.Code!.Value);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _log?.Dispose();
            _hooks?.Dispose();
            (_log, _hooks) = (null, null);
        }
    }

    private void Try(Action action)
    {
        lock (_lock)
        {
            try
            {
                action();
            }
            catch (IOException error)
            {
                if (!_failed)
                    container.Log.Warning($"the record of hook {hook.Name} is not complete: {error.Message}");
                _failed = true;
            }
        }
    }

    private static int Count(JsonObject entry, string name) => entry[name] is JsonValue value && value.TryGetValue<int>(out var count) ? count : 0;

    private static JsonObject ReadStatus(DirectoryHandle hooks)
    {
        try
        {
            return hooks.ReadBytes("status.json", LargestStatus) is { } bytes && JsonNode.Parse(bytes) is JsonObject status ? status : [];
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            // Somebody else's file, or half of one: counting begins anew.
            return [];
        }
    }
}
