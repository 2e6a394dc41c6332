using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Audit;

/// <summary>Reads the audit log: what was renamed when it was full, the oldest first, then the file itself.</summary>
/// <param name="path">The file.</param>
internal sealed class AuditFiles(string path)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200);

    /// <summary>All that is there.</summary>
    /// <exception cref="IOException">It cannot be read; the message says what to do.</exception>
    public IEnumerable<JsonElement> Read()
    {
        var files = Files();
        if (files.Count == 0)
            throw new IOException($"there is no audit log at {path}: nothing has passed yet, audit.enabled is false, or the proxy writes it elsewhere (--file FILE)");
        return files.SelectMany(ReadFile);
    }

    /// <summary>All that is there, and then what is written, also after the file has been renamed.</summary>
    public async IAsyncEnumerable<JsonElement> FollowAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            while (!File.Exists(path))
                await Task.Delay(Poll, cancellation);
            var opened = Libc.StatusOf(path);
            using var reader = Open(path);
            if (isFirst)
            {
                // One that is renamed meanwhile is the one that is open.
                foreach (var flow in Files().Where(f => Libc.StatusOf(f)?.Inode != opened?.Inode).SelectMany(ReadFile))
                    yield return flow;
            }

            await foreach (var line in LinesAsync(reader, () => Libc.StatusOf(path) is var now && (now?.Inode != opened?.Inode || now?.Size < reader.BaseStream.Position), cancellation))
            {
                if (Parse(line) is { } flow)
                    yield return flow;
            }
        }
    }

    // What is renamed is read to its end first.
    private static async IAsyncEnumerable<string> LinesAsync(StreamReader reader, Func<bool> isReplaced, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var (buffer, rest, isLast) = (new char[64 << 10], "", false);
        while (true)
        {
            var count = await reader.ReadAsync(buffer, cancellation);
            if (count > 0)
            {
                var lines = (rest + new string(buffer, 0, count)).Split('\n');
                rest = lines[^1];
                foreach (var line in lines[..^1])
                    yield return line;
                continue;
            }

            if (isLast)
                yield break;
            await Task.Delay(Poll, cancellation);
            isLast = isReplaced();
        }
    }

    private static IEnumerable<JsonElement> ReadFile(string file)
    {
        using var reader = Open(file);
        while (reader.ReadLine() is { } line)
        {
            if (Parse(line) is { } flow)
                yield return flow;
        }
    }

    private List<string> Files()
    {
        var older = new List<string>();
        try
        {
            for (var age = 1; File.Exists($"{path}.{age.ToString(CultureInfo.InvariantCulture)}"); age++)
                older.Add($"{path}.{age.ToString(CultureInfo.InvariantCulture)}");
            older.Reverse();
            if (File.Exists(path))
                older.Add(path);
        }
        catch (UnauthorizedAccessException)
        {
            throw Refused(path);
        }

        return older;
    }

    private static StreamReader Open(string file)
    {
        try
        {
            return new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        }
        catch (UnauthorizedAccessException)
        {
            throw Refused(file);
        }
    }

    private static IOException Refused(string file) =>
        new($"{file} may not be read by this user: the audit log is for root and the proxy's own user, as in `docker exec -u root CONTAINER discobot audit`");

    // The last line may be half written, and a tool may have cut the file.
    private static JsonElement? Parse(string line)
    {
        try
        {
            return line.StartsWith('{') ? JsonElement.Parse(line) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
