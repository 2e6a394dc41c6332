using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Variables;

/// <summary>
/// Makes <c>localhost</c> mean 127.0.0.1 alone: programs that try ::1 first would miss servers that listen on IPv4 only.
/// Other names of ::1 stay.
/// </summary>
internal sealed class LocalhostName(Container container)
{
    public Task RunAsync(CancellationToken cancellationToken)
    {
        var path = container.Paths.In("/etc/hosts");
        var old = File.Exists(path) ? RegularFile.ReadAllText(path, Encoding.Latin1) : "";
        var text = Rewrite(old);

        // In place: Docker mounts this very file, so nothing can be renamed over it.
        if (text != old)
            File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text));
        return Task.CompletedTask;
    }

    /// <summary>The hosts file (hosts(5)) as it should be.</summary>
    public static string Rewrite(string text)
    {
        var lines = new List<string>();
        var hasLocalhost = false;
        foreach (var line in text.Split('\n'))
        {
            var hash = line.IndexOf('#', StringComparison.Ordinal);
            var fields = (hash < 0 ? line : line[..hash]).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            hasLocalhost |= fields is ["127.0.0.1", ..] && fields.Contains("localhost");
            if (fields is not ["::1", ..] || !fields.Contains("localhost"))
            {
                lines.Add(line);
                continue;
            }

            var names = fields.Skip(1).Where(name => name != "localhost").ToList();
            if (names.Count > 0)
                lines.Add($"::1\t{string.Join(' ', names)}");
        }

        return (hasLocalhost ? "" : "127.0.0.1 localhost\n") + string.Join('\n', lines);
    }

    /// <summary>Whether 127.0.0.1 alone is localhost.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var path = seen.Paths.In("/etc/hosts");
        var text = !File.Exists(path) ? "" : RegularFile.IsOrMissing(path) ? RegularFile.ReadAllText(path, Encoding.Latin1) : null;
        return SeenContainer.Step("localhost name", text is not null && Rewrite(text) == text, path, "let 127.0.0.1 alone be localhost there");
    }
}
