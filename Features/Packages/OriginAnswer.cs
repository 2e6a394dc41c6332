using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages;

/// <summary>What an origin answered to an <see cref="OriginQuestion"/>.</summary>
internal sealed record OriginAnswer(int Status, IHeaderDictionary Fields, ReadOnlyMemory<byte> Body)
{
    /// <summary>Bytes of a document when it is unpacked.</summary>
    public const int MaxUnpacked = 256 << 20;

    /// <summary>It was no document; the client has it.</summary>
    public static readonly OriginAnswer Passed = new(0, new HeaderDictionary(), default);

    /// <summary>Why it cannot be used; null when it can.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether it says that there is a document: 200, and what else clients take for it.</summary>
    public bool IsSuccess => Status is >= 200 and < 300 and not (StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent);

    /// <summary>Whether it is to be JSON and is none, so that nobody knows what a client makes of it.</summary>
    /// <param name="text">Of <see cref="DocumentMemory.UnpackAsync"/>.</param>
    public bool IsMalformed(ReadOnlyMemory<byte> text) =>
        (text.IsEmpty ? !Body.IsEmpty : Fields.ContentType.ToString().Contains("json", StringComparison.OrdinalIgnoreCase) || text.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
        && !JsonMembers.IsValue(text);
}
