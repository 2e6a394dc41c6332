using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Variables;

/// <summary>A part of a configuration file that is ours: found by its markers, replaced and never repeated.</summary>
internal static class ManagedBlock
{
    private const string Begin = "# discobot: begin (managed, do not edit)";
    private const string End = "# discobot: end";

    /// <summary>The text with our block holding <paramref name="lines"/>, at its end when it had none; without block when there are no lines.</summary>
    public static string Put(string text, IReadOnlyList<string> lines)
    {
        var rest = Without(text);
        if (lines.Count == 0)
            return rest;
        var separator = rest.Length == 0 || rest.EndsWith('\n') ? "" : "\n";
        return $"{rest}{separator}{Begin}\n{string.Join('\n', lines)}\n{End}\n";
    }

    /// <summary>Puts the block into a file of a directory that belongs to root. The file is made when missing, and not touched when it says the same already.</summary>
    /// <returns>Whether the file was changed.</returns>
    public static bool PutInto(string path, IReadOnlyList<string> lines)
    {
        // Latin-1 keeps every byte of a file whose encoding is not ours to know; our own lines are UTF-8 in it.
        var old = File.Exists(path) ? Encoding.Latin1.GetString(RegularFile.ReadAllBytes(path)) : "";
        var text = Put(old, [.. lines.Select(line => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(line)))]);
        if (text == old)
            return false;
        using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!);
        var name = Path.GetFileName(path);
        if (directory.Status(name) is { Kind: FileKind.Regular } status)
            directory.WriteBytes(name, Encoding.Latin1.GetBytes(text), status.Permissions, status.Owner);
        else
            File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text));
        return true;
    }

    // A beginning without an end is a line alone: what follows it is somebody else's.
    private static string Without(string text)
    {
        var lines = text.Split('\n').ToList();
        for (int begin; (begin = lines.IndexOf(Begin)) >= 0;)
        {
            var end = lines.IndexOf(End, begin);
            lines.RemoveRange(begin, end < 0 ? 1 : end - begin + 1);
        }

        return string.Join('\n', lines);
    }
}
