using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// An upload in parts. The object is there when the last request has been answered, and not before; whatever fails ends the upload at the store, which keeps the
/// parts else, and bills them, until its rule for uploads that were not completed removes them.
/// </summary>
internal sealed class S3Upload(S3Store store, Uri address, SafeFileHandle file, long length)
{
    private const long SmallestPart = 16L << 20;
    private const int MostParts = 10_000;
    private const int MaxAnswer = 256 << 10;
    private const int Tries = 3;
    private static readonly TimeSpan Abortion = TimeSpan.FromSeconds(10);

    private long PartSize => Math.Max(SmallestPart, (length + MostParts - 1) / MostParts);

    public async Task RunAsync(CancellationToken cancel)
    {
        var id = await BeginAsync(cancel);
        try
        {
            var parts = new List<string>();
            for (long at = 0; at < length; at += PartSize)
                parts.Add(await PutPartAsync(id, parts.Count + 1, at, Math.Min(PartSize, length - at), cancel));
            await CompleteAsync(id, parts, cancel);
        }
        catch
        {
            await AbortAsync(id);
            throw;
        }
    }

    private Uri Of(string query) => new($"{address}?{query}");

    private async Task<string> BeginAsync(CancellationToken cancel)
    {
        using var response = await store.SendAsync(() => new HttpRequestMessage(HttpMethod.Post, Of("uploads=")) { Content = new ByteArrayContent([]) }, AwsSignature.EmptyPayload, cancel);
        if (response.StatusCode != HttpStatusCode.OK)
            throw await store.ErrorAsync(response, cancel);
        return S3Xml.Value(await BoundedText.ReadAsync(response.Content, MaxAnswer, cancel), "UploadId") is { Length: > 0 } id
            ? Uri.EscapeDataString(id) : throw new RemoteException(RemoteFailure.Unavailable, "the answer names no upload");
    }

    private async Task<string> PutPartAsync(string id, int number, long from, long size, CancellationToken cancel)
    {
        var hash = await Task.Run(() => HashOf(from, size), cancel);
        for (var tries = 1; ; tries++)
        {
            try
            {
                using var response = await store.SendAsync(
                    () => new HttpRequestMessage(HttpMethod.Put, Of(string.Create(CultureInfo.InvariantCulture, $"partNumber={number}&uploadId={id}"))) { Content = new FileContent(file, from, size) }, hash, cancel);
                if (response.StatusCode != HttpStatusCode.OK)
                    throw await store.ErrorAsync(response, cancel);
                return response.Headers.NonValidated.TryGetValues("ETag", out var tag) ? tag.ToString() : throw new RemoteException(RemoteFailure.Unavailable, "a part has no ETag");
            }
            catch (RemoteException e) when (e.Failure == RemoteFailure.Unavailable && tries < Tries)
            {
                // What came before is there already: one part is tried anew before all is.
            }
        }
    }

    private async Task CompleteAsync(string id, List<string> parts, CancellationToken cancel)
    {
        var text = new StringBuilder("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (var i = 0; i < parts.Count; i++)
            text.Append(CultureInfo.InvariantCulture, $"<Part><PartNumber>{i + 1}</PartNumber><ETag>{WebUtility.HtmlEncode(parts[i])}</ETag></Part>");
        var body = Encoding.UTF8.GetBytes(text.Append("</CompleteMultipartUpload>").ToString());
        using var response = await store.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, Of($"uploadId={id}")) { Content = new ByteArrayContent(body) }, Convert.ToHexStringLower(SHA256.HashData(body)), cancel);
        if (response.StatusCode != HttpStatusCode.OK)
            throw await store.ErrorAsync(response, cancel);
        // The answer begins before the parts are joined, and may end with an error.
        var answer = await BoundedText.ReadAsync(response.Content, MaxAnswer, cancel);
        if (!S3Xml.Is(answer, "CompleteMultipartUploadResult"))
            throw new RemoteException(RemoteFailure.Unavailable, $"the parts were not joined {S3Xml.ErrorCode(answer)}".TrimEnd());
    }

    private async Task AbortAsync(string id)
    {
        using var limit = new CancellationTokenSource(Abortion);
        try
        {
            using var _ = await store.SendAsync(() => new HttpRequestMessage(HttpMethod.Delete, Of($"uploadId={id}")), AwsSignature.EmptyPayload, limit.Token);
        }
        catch (Exception e) when (e is RemoteException or OperationCanceledException)
        {
            // Left to the store's rule.
        }
    }

    private string HashOf(long from, long size)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var piece = new byte[256 << 10];
        for (long at = 0; at < size;)
        {
            var read = RandomAccess.Read(file, piece.AsSpan(0, (int)Math.Min(piece.Length, size - at)), from + at);
            if (read == 0)
                throw new IOException("the file is shorter than it was");
            hash.AppendData(piece, 0, read);
            at += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
