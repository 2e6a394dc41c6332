using System.Buffers;
using System.Runtime.CompilerServices;
using Serilog.Events;
using Serilog.Parsing;

namespace Discobot.Infrastructure.Logging;

/// <summary>How the events of one template are written, worked out once for each template.</summary>
internal sealed class EventLayout
{
    // Punctuation that only sentences have.
    private static readonly SearchValues<char> SentenceMarks = SearchValues.Create(":(,\"'=");
    private static readonly ConditionalWeakTable<MessageTemplate, EventLayout> Known = [];

    private EventLayout(MessageTemplate template)
    {
        IsEvent = WordsThenProperties(template);
        if (!IsEvent)
            return;
        Name = ((TextToken)template.Tokens.First()).Text.Trim();
        Column = Name.PadRight(10);
        Pairs = [.. template.Tokens.OfType<PropertyToken>().Select(p => (p.PropertyName, $" {p.PropertyName.ToLowerInvariant()}="))];
    }

    /// <summary>Whether the template is words followed by nothing but properties; a sentence otherwise.</summary>
    public bool IsEvent { get; }

    /// <summary>The words of an event.</summary>
    public string Name { get; } = "";

    /// <summary>The same, as wide as the column.</summary>
    public string Column { get; } = "";

    /// <summary>Each property of an event, and what stands before its value.</summary>
    public (string Property, string Before)[] Pairs { get; } = [];

    public static EventLayout Of(MessageTemplate template) => Known.GetValue(template, static t => new EventLayout(t));

    private static bool WordsThenProperties(MessageTemplate template)
    {
        var tokens = 0;
        foreach (var token in template.Tokens)
        {
            var text = (token as TextToken)?.Text;
            if (tokens++ == 0 ? text is null || text.AsSpan().ContainsAny(SentenceMarks) : !string.IsNullOrWhiteSpace(text ?? " "))
                return false;
        }

        return tokens > 1;
    }
}
