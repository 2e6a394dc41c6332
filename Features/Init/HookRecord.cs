using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Init;

/// <summary>What a hook wrote and how it ended, kept in the agent's home: <c>~/.discobot/SESSION/hooks</c>. The agent may rearrange that
/// tree at any time, so it is reached without following links.</summary>
internal sealed class HookRecord : IDisposable
{
    private const int LargestStatus = 1 << 20;
    private readonly DirectoryHandle _hooks;
    private readonly SafeFileHandle _log;
    private readonly SessionHook _hook;
    private readonly Owner _owner;
    private long _length;

    private HookRecord(DirectoryHandle hooks, SafeFileHandle log, SessionHook hook, Owner owner)
        => (_hooks, _log, _hook, _owner) = (hooks, log, hook, owner);

    /// <summary>Begins a run: an empty log in the place of the last one.</summary>
    public static HookRecord Open(Container container, SessionHook hook)
    {
        var owner = container.Agent.Owner;
        using var home = DirectoryHandle.OpenTrusted(container.Paths.Home);
        var hooks = home.OpenOrCreate($".discobot/{container.Session.SessionId}/hooks", 0x1ED, owner);
        using var output = hooks.OpenOrCreate("output", 0x1ED, owner);
        output.Remove(hook.Id + ".log");
        return new HookRecord(hooks, output.CreateFile(hook.Id + ".log", 0x1A4, owner), hook, owner);
    }

    public void Write(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        RandomAccess.Write(_log, bytes, _length);
        _length += bytes.Length;
    }

    /// <summary>Counts the run in <c>status.json</c>.</summary>
    public void Finish(int exitCode)
    {
        var status = ReadStatus();
        var hooks = status["hooks"] as JsonObject ?? [];
        status["hooks"] = hooks;
        var entry = hooks[_hook.Id] as JsonObject ?? [];
        hooks[_hook.Id] = entry;
        entry["name"] = JsonValue.Create(_hook.Name);
        entry["type"] = JsonValue.Create(_hook.Type);
        entry["lastRunAt"] = JsonValue.Create(DateTimeOffset.UtcNow.ToString("O"));
        entry["lastExitCode"] = JsonValue.Create(exitCode);
        entry["lastResult"] = JsonValue.Create(exitCode == 0 ? "success" : "failure");
        entry["runCount"] = JsonValue.Create(Count(entry, "runCount") + 1);
        entry["failCount"] = JsonValue.Create(Count(entry, "failCount") + (exitCode == 0 ? 0 : 1));
        _hooks.WriteBytes("status.json", Encoding.UTF8.GetBytes(status.ToJsonString() + "\n"), 0x1A4, _owner);
    }

    public void Dispose()
    {
        _log.Dispose();
        _hooks.Dispose();
    }

    private static int Count(JsonObject entry, string name) => entry[name] is JsonValue value && value.TryGetValue<int>(out var count) ? count : 0;

    private JsonObject ReadStatus()
    {
        try
        {
            return _hooks.ReadBytes("status.json", LargestStatus) is { } bytes && JsonNode.Parse(bytes) is JsonObject status ? status : [];
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            // Somebody else's file, or half of one: counting begins anew.
            return [];
        }
    }
}
