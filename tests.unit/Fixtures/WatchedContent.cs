using System.Net;

namespace Discobot.Tests.Fixtures;

/// <summary>A request body that knows whether it was ever sent.</summary>
internal sealed class WatchedContent : HttpContent
{
    /// <summary>Whether the client ever began to send the body.</summary>
    public bool WasAsked { get; private set; }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        WasAsked = true;
        await stream.FlushAsync();
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
