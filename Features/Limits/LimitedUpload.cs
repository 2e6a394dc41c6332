using System.IO.Pipelines;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Limits;

/// <summary>The body of a request that has not said how long it is: it ends with an error where it is longer than it may be.</summary>
/// <param name="inner">The body.</param>
/// <param name="most">Bytes.</param>
/// <param name="exceeded">Tells of it, once.</param>
internal sealed class LimitedUpload(PipeReader inner, long most, Func<ProxyError> exceeded) : PipeReader, IRequestBodyPipeFeature
{
    private ReadResult _shown;
    private long _consumed;
    private ProxyError? _error;

    public PipeReader Reader => this;

    public override bool TryRead(out ReadResult result)
    {
        if (!inner.TryRead(out result))
            return false;
        result = Show(result);
        return true;
    }

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => Show(await inner.ReadAsync(cancellationToken));

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _consumed += _shown.Buffer.Slice(0, consumed).Length;
        _shown = default;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    private ReadResult Show(in ReadResult result)
    {
        _shown = result;
        if (_consumed + result.Buffer.Length <= most)
            return result;
        // What is left is read by the connection.
        inner.AdvanceTo(result.Buffer.Start);
        _error ??= exceeded();
        throw new RefusedBodyException(_error);
    }
}
