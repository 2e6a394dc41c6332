using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Discobot.Features.CommandLine.Policies;

/// <summary>
/// Puts an entry into <c>allowlist.domains</c> of a file as somebody wrote it: comments, order and style of all else stay. Where the text is written in a way that is
/// not known here there is no answer, and a person has to write it.
/// </summary>
internal static class PolicyText
{
    /// <param name="text">YAML that can be read.</param>
    /// <param name="entry">As it stands in a list in one line.</param>
    /// <returns>The text with the entry; null: it has no place for it that is known here.</returns>
    public static string? Add(string text, string entry)
    {
        if (ReadRoot(text)?.Keys.GetValueOrDefault("allowlist") is not { IsMapping: true } allowlist || allowlist.Keys.Count == 0)
            return null;
        if (!allowlist.Keys.TryGetValue("domains", out var domains))
        {
            return allowlist.IsFlow ? text.Insert(allowlist.Last, $", domains: [{entry}]")
                : text.Insert(allowlist.First, $"domains:\n{new string(' ', allowlist.Column + 2)}- {entry}\n{new string(' ', allowlist.Column)}");
        }

        if (!domains.IsList)
            return null;
        if (domains.IsFlow)
            return domains.IsEmpty ? text.Insert(domains.First + 1, entry) : text.Insert(domains.Last, $", {entry}");
        // Behind the line in which the last one ends, and the comment there.
        var end = text.IndexOf('\n', domains.Last);
        var line = $"{new string(' ', domains.Column)}- {entry}\n";
        return end < 0 ? $"{text}\n{line}" : text.Insert(end + 1, line);
    }

    private static Node? ReadRoot(string text)
    {
        try
        {
            var events = new Parser(new Scanner(new StringReader(text), skipComments: true));
            events.Consume<StreamStart>();
            events.Consume<DocumentStart>();
            return Read(events);
        }
        catch (YamlException)
        {
            return null;
        }
    }

    private static Node Read(Parser events)
    {
        var begun = events.Consume<ParsingEvent>();
        var node = new Node { Column = (int)begun.Start.Column - 1, First = (int)begun.Start.Index, Last = (int)begun.End.Index };
        switch (begun)
        {
            case SequenceStart list:
                node.IsList = true;
                node.IsFlow = list.Style == SequenceStyle.Flow;
                while (!events.Accept<SequenceEnd>(out _))
                    node.Take(Read(events));
                break;
            case MappingStart mapping:
                node.IsMapping = true;
                node.IsFlow = mapping.Style == MappingStyle.Flow;
                while (!events.Accept<MappingEnd>(out _))
                {
                    var key = Read(events);
                    node.Take(key);
                    var value = Read(events);
                    node.Take(value);
                    node.Keys[key.Text] = value;
                }

                break;
            case Scalar scalar:
                node.Text = scalar.Value;
                return node;
            default:
                return node;
        }

        var ended = events.Consume<ParsingEvent>();
        // A bracket ends where it stands; what is written in lines ends with the last of what is in it.
        node.End = node.IsFlow ? (int)ended.Start.Index + 1 : node.Last;
        return node;
    }

    private sealed class Node
    {
        private int _end = -1;

        public bool IsList { get; set; }

        public bool IsMapping { get; set; }

        public bool IsFlow { get; set; }

        public bool IsEmpty { get; private set; } = true;

        public string Text { get; set; } = "";

        public Dictionary<string, Node> Keys { get; } = new(StringComparer.Ordinal);

        /// <summary>Of its first character.</summary>
        public int First { get; init; }

        /// <summary>Columns in front of that.</summary>
        public int Column { get; init; }

        /// <summary>Behind the last of what is in it.</summary>
        public int Last { get; set; }

        /// <summary>Behind all of it.</summary>
        public int End
        {
            get => _end < 0 ? Last : _end;
            set => _end = value;
        }

        public void Take(Node child) => (IsEmpty, Last) = (false, child.End);
    }
}
