using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>A part of a configuration file that is ours: found by its markers, replaced and never repeated.</summary>
internal static class ManagedBlock
{
    private const string Begin = "# discobot: begin (managed, do not edit)";
    private const string End = "# discobot: end";

    /// <summary>The text with our block holding <paramref name="lines"/>, at its end when it had none; without block when there are no lines.</summary>
    public static string Put(string text, IReadOnlyList<string> lines)
    {
        var kept = new StringBuilder();
        var inside = false;
        foreach (var line in text.Split('\n'))
        {
            if (line == Begin)
                inside = true;
            else if (line == End && inside)
                inside = false;
            else if (!inside)
                kept.Append(line).Append('\n');
        }

        // Split made one empty line of the last newline.
        var rest = kept.ToString()[..^1];
        if (lines.Count == 0)
            return rest;
        var separator = rest.Length == 0 || rest.EndsWith('\n') ? "" : "\n";
        return $"{rest}{separator}{Begin}\n{string.Join('\n', lines)}\n{End}\n";
    }

    /// <summary>Puts the block into a file of a directory that belongs to root. The file is made when missing, and not touched when it says the same already.</summary>
    /// <returns>Whether the file was changed.</returns>
    public static bool PutInto(string path, IReadOnlyList<string> lines)
    {
        var old = File.Exists(path) ? File.ReadAllText(path) : "";
        var text = Put(old, lines);
        if (text == old)
            return false;
        using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!);
        var name = Path.GetFileName(path);
        if (directory.Status(name) is { Kind: FileKind.Regular } status)
            directory.WriteBytes(name, Encoding.UTF8.GetBytes(text), status.Permissions, status.Owner);
        else
            File.WriteAllText(path, text);
        return true;
    }
}
