using System.Net;

namespace Discobot.Tests.Fixtures;

/// <summary>A request body of lines that the test sends when it likes.</summary>
internal sealed class AcknowledgingContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _complete = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether the client ever began to send the body.</summary>
    public bool WasAsked => _stream.Task.IsCompleted;

    public async Task SendLineAsync()
    {
        var stream = await _stream.Task;
        await stream.WriteAsync("\n"u8.ToArray());
        await stream.FlushAsync();
    }

    public void Complete() => _complete.TrySetResult();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        await stream.FlushAsync();
        _stream.TrySetResult(stream);
        await _complete.Task;
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

/// <summary>Waiting for what happens soon, with a limit.</summary>
internal static class Eventually
{
    public static async Task TrueAsync(Func<Task<bool>> condition)
    {
        for (var i = 0; i < 500; i++)
        {
            if (await condition())
                return;
            await Task.Delay(20);
        }

        Assert.Fail("It did not happen within 10 s.");
    }
}
