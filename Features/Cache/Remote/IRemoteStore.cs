using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>A store of bodies by digest, beyond this machine. Every call fails with a <see cref="RemoteException"/>, or is cancelled.</summary>
internal interface IRemoteStore
{
    /// <summary>Asks for a body; returns when its head is here.</summary>
    /// <returns>Null: it is not there.</returns>
    Task<RemoteObject?> GetAsync(Hash256 digest, CancellationToken cancel);

    /// <summary>Whether it is there, and of this length, where the store tells one.</summary>
    Task<bool> ExistsAsync(Hash256 digest, long length, CancellationToken cancel);

    /// <summary>Puts a body there, whole or not at all.</summary>
    Task PutAsync(Hash256 digest, SafeFileHandle file, long length, CancellationToken cancel);

    /// <summary>Tells the store that it is still used.</summary>
    /// <returns>False: that cannot be told.</returns>
    Task<bool> RefreshAsync(Hash256 digest, long length, CancellationToken cancel);
}

/// <summary>A body on its way from a store.</summary>
/// <param name="response">Disposed with it.</param>
/// <param name="length">Bytes.</param>
internal sealed class RemoteObject(HttpResponseMessage response, long length) : IDisposable
{
    public long Length => length;

    /// <summary>When it was put there, or was last said to be used.</summary>
    public DateTimeOffset? Modified => response.Content.Headers.LastModified;

    public Task<Stream> OpenAsync(CancellationToken cancel) => response.Content.ReadAsStreamAsync(cancel);

    public void Dispose() => response.Dispose();
}

internal enum RemoteFailure
{
    /// <summary>401 or 403, or no credentials to ask with: it is up, and others may be served.</summary>
    Denied,

    /// <summary>Nothing came in the time that there was.</summary>
    Slow,

    /// <summary>Not reached, 5xx, 429, broken off.</summary>
    Unavailable,
}

/// <summary>A store did not do what was asked. Its message never holds a credential.</summary>
internal sealed class RemoteException(RemoteFailure failure, string reason) : IOException(reason)
{
    public RemoteFailure Failure => failure;

    /// <summary>Whether the same body sent again has the same answer: it is too large, or the store has no way to take it.</summary>
    public bool IsForGood { get; init; }
}

/// <summary>Answers that are read whole, to a limit.</summary>
internal static class BoundedText
{
    /// <exception cref="IOException">It is longer.</exception>
    public static async Task<string> ReadAsync(HttpContent content, int limit, CancellationToken cancel)
    {
        using var stream = await content.ReadAsStreamAsync(cancel);
        var bytes = new byte[limit];
        var read = await stream.ReadAtLeastAsync(bytes, limit, throwOnEndOfStream: false, cancel);
        return read < limit ? Encoding.UTF8.GetString(bytes, 0, read) : throw new IOException($"an answer is longer than {limit} bytes");
    }
}
