using System.Net;
using System.Net.Http.Headers;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// Bodies in a bucket, as <c>PREFIX/sha256/ab/HEX</c>, the bucket in the path. Nothing is ever listed. A body of up to 64 MiB is one request whose signature
/// names the digest, so that the store itself refuses what is another; a larger one comes in parts (<see cref="S3Upload"/>).
/// </summary>
internal sealed class S3Store(S3Options options, RemoteClient client, AwsCredentialChain chain, TimeProvider time) : IRemoteStore
{
    public const long LargestSingle = 64L << 20;

    // Larger ones are not copied in one request.
    private const long LargestCopy = 5L << 30;
    private const int MaxAnswer = 64 << 10;
    private static readonly TimeSpan MostSkew = TimeSpan.FromMinutes(5);

    // How far the store's clock is ahead of ours, where it refused a request for that.
    private long _skew;

    public async Task<RemoteObject?> GetAsync(Hash256 digest, CancellationToken cancel)
    {
        var response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Get, AddressOf(digest)), AwsSignature.EmptyPayload, cancel);
        return await RemoteAnswer.ObjectAsync(response, ErrorAsync, cancel);
    }

    public async Task<bool> ExistsAsync(Hash256 digest, long length, CancellationToken cancel)
    {
        using var response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Head, AddressOf(digest)), AwsSignature.EmptyPayload, cancel);
        return response.StatusCode switch
        {
            HttpStatusCode.OK => RemoteAnswer.IsOf(response, length),
            HttpStatusCode.NotFound => false,
            _ => throw await ErrorAsync(response, cancel),
        };
    }

    public async Task PutAsync(Hash256 digest, SafeFileHandle file, long length, CancellationToken cancel)
    {
        if (length > LargestSingle)
        {
            await new S3Upload(this, AddressOf(digest), file, length).RunAsync(cancel);
            return;
        }

        using var response = await SendAsync(
            () => new HttpRequestMessage(HttpMethod.Put, AddressOf(digest)) { Content = new FileContent(file, 0, length) }, digest.ToString(), cancel);
        if (response.StatusCode != HttpStatusCode.OK)
            throw await ErrorAsync(response, cancel);
    }

    // A copy onto itself, with its metadata said anew as it has to be: the store's rules for what is old go by when it was written.
    public async Task<bool> RefreshAsync(Hash256 digest, long length, CancellationToken cancel)
    {
        if (length > LargestCopy)
            return false;
        using var response = await SendAsync(() =>
        {
            var request = new HttpRequestMessage(HttpMethod.Put, AddressOf(digest)) { Content = new ByteArrayContent([]) };
            request.Headers.TryAddWithoutValidation("x-amz-copy-source", $"/{options.Bucket}/{KeyOf(digest)}");
            request.Headers.TryAddWithoutValidation("x-amz-metadata-directive", "REPLACE");
            return request;
        }, AwsSignature.EmptyPayload, cancel);
        if (response.StatusCode != HttpStatusCode.OK)
            throw await ErrorAsync(response, cancel);
        // The answer begins before the copy is made, and may end with an error.
        if (!S3Xml.Is(await BoundedText.ReadAsync(response.Content, MaxAnswer, cancel), "CopyObjectResult"))
            throw new RemoteException(RemoteFailure.Unavailable, "the copy was not made");
        return true;
    }

    /// <summary>Sends a signed request; once more where the clocks differ.</summary>
    /// <param name="create">Makes it: what was sent cannot be sent again.</param>
    /// <param name="payload">SHA-256 of the body, in hex.</param>
    /// <param name="cancel">Ends it.</param>
    public async Task<HttpResponseMessage> SendAsync(Func<HttpRequestMessage> create, string payload, CancellationToken cancel)
    {
        for (var again = true; ; again = false)
        {
            var request = create();
            AwsSignature.SignS3(request, await chain.GetAsync(cancel), options.Region, payload, time.GetUtcNow().AddTicks(Volatile.Read(ref _skew)));
            var response = await client.SendAsync(request, cancel);
            if (response.StatusCode != HttpStatusCode.Forbidden)
                return response;
            if (!again || !IsSkewed(response))
            {
                chain.Forget();
                return response;
            }

            response.Dispose();
        }
    }

    /// <summary>What an answer that is no success says; disposes it.</summary>
    public async Task<RemoteException> ErrorAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        using (response)
        {
            var code = "";
            try
            {
                code = S3Xml.ErrorCode(await BoundedText.ReadAsync(response.Content, MaxAnswer, cancel));
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                // The status says enough.
            }

            return RemoteAnswer.Error(response.StatusCode, code);
        }
    }

    private Uri AddressOf(Hash256 digest) => new($"{options.Endpoint.ToString().TrimEnd('/')}/{options.Bucket}/{KeyOf(digest)}");

    private string KeyOf(Hash256 digest)
    {
        var hex = digest.ToString();
        return $"{(options.Prefix.Length > 0 ? options.Prefix + "/" : "")}sha256/{hex[..2]}/{hex}";
    }

    private bool IsSkewed(HttpResponseMessage response)
    {
        if (response.Headers.Date is not { } theirs)
            return false;
        var skew = theirs - time.GetUtcNow();
        if ((skew - TimeSpan.FromTicks(Volatile.Read(ref _skew))).Duration() < MostSkew)
            return false;
        Volatile.Write(ref _skew, skew.Ticks);
        return true;
    }
}

/// <summary>What answers of stores mean.</summary>
internal static class RemoteAnswer
{
    /// <returns>Null: it is not there.</returns>
    public static async Task<RemoteObject?> ObjectAsync(
        HttpResponseMessage response, Func<HttpResponseMessage, CancellationToken, Task<RemoteException>> error, CancellationToken cancel)
    {
        if (response.StatusCode == HttpStatusCode.OK && response.Content.Headers is { ContentLength: { } length, ContentEncoding.Count: 0 })
            return new RemoteObject(response, length);
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Gone)
        {
            response.Dispose();
            return null;
        }

        throw await error(response, cancel);
    }

    /// <summary>Whether an answer to HEAD is of a body of this length, as far as it tells.</summary>
    public static bool IsOf(HttpResponseMessage response, long length) => (response.Content.Headers.ContentLength ?? length) == length;

    public static RemoteException Error(HttpStatusCode status, string code) => new(
        status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? RemoteFailure.Denied : RemoteFailure.Unavailable,
        $"HTTP {(int)status}{(code.Length > 0 ? $" {code}" : "")}")
    {
        // S3 says 400 also of what passes: ExpiredToken, RequestTimeout.
        IsForGood = status is HttpStatusCode.LengthRequired or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.RequestUriTooLong or HttpStatusCode.NotImplemented
            || (status == HttpStatusCode.BadRequest && code is "" or "EntityTooLarge" or "KeyTooLongError" or "InvalidArgument" or "InvalidRequest"),
    };
}

/// <summary>A stretch of a file as the content of a request: read as it is sent, by a thread that may wait for a disk.</summary>
internal sealed class FileContent : HttpContent
{
    private const int PieceSize = 128 << 10;
    private readonly SafeFileHandle _file;
    private readonly long _from;
    private readonly long _length;

    public FileContent(SafeFileHandle file, long from, long length)
    {
        (_file, _from, _length) = (file, from, length);
        Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _length;
        return true;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var piece = new byte[PieceSize];
        for (long at = 0; at < _length;)
        {
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            var read = RandomAccess.Read(_file, piece.AsSpan(0, (int)Math.Min(piece.Length, _length - at)), _from + at);
            if (read == 0)
                throw new IOException("the file is shorter than it was");
            await stream.WriteAsync(piece.AsMemory(0, read), cancellationToken);
            at += read;
        }
    }
}
