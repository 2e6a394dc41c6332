namespace Discobot.Features.Packages;

/// <summary>
/// The body of an answer: kept when it can be a document that has to be read, which its first byte and its type tell; else passed on to the client as
/// it comes, as downloads of any size must be.
/// </summary>
/// <param name="asked">Whose answer it is.</param>
/// <param name="client">Whom it is passed on to; null for nobody.</param>
/// <param name="enter">Waits until so many bytes may be kept.</param>
internal sealed class DocumentBody(HttpContext asked, HttpContext? client, Func<long, ValueTask> enter) : Stream
{
    /// <summary>Of one document as it is sent. The largest of npm's have some 30 MB.</summary>
    public const int MaxSize = 64 << 20;

    private readonly MemoryStream _kept = new();
    private bool _isDecided;

    /// <summary>Whether the client has been sent it.</summary>
    public bool IsPassed { get; private set; }

    public bool IsTooLarge { get; private set; }

    public ReadOnlyMemory<byte> Bytes => _kept.GetBuffer().AsMemory(0, (int)_kept.Length);

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
            return;
        if (!_isDecided)
        {
            _isDecided = true;
            if (client is not null && !IsDocument(buffer.Span))
            {
                IsPassed = true;
                AnswerFields.CopyHead(asked.Response, client.Response);
            }
        }

        if (IsPassed)
        {
            await client!.Response.BodyWriter.WriteAsync(buffer, cancellationToken);
            return;
        }

        if (_kept.Length + buffer.Length > MaxSize)
        {
            IsTooLarge = true;
            throw new DocumentTooLargeException();
        }

        await enter(_kept.Length + buffer.Length);
        _kept.Write(buffer.Span);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Only asynchronously.");

    private bool IsDocument(ReadOnlySpan<byte> first)
    {
        if (asked.Response.StatusCode is < 200 or >= 300)
            return false;
        var type = asked.Response.ContentType ?? "";
        if (type.Contains("json", StringComparison.OrdinalIgnoreCase))
            return true;
        // A registry of plain files calls everything octets; JSON it is all the same. What is packed is looked at later.
        return asked.Response.Headers.ContentEncoding.Count > 0 || first.TrimStart(" \t\r\n\xef\xbb\xbf"u8) is [] or [(byte)'{', ..];
    }
}

/// <summary>An answer is larger than what may be kept of it.</summary>
internal sealed class DocumentTooLargeException : IOException
{
    public DocumentTooLargeException()
        : base("The document is too large.")
    {
    }
}
