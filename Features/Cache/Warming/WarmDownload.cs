using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Security.Cryptography;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Warming;

/// <summary>The client that asks the proxy itself, as any client of it does: rules, credentials and the cache are in its way as in anybody's.</summary>
/// <param name="make">Makes it at the first use.</param>
internal sealed class WarmClient(Func<HttpClient> make) : IDisposable
{
    private readonly Lazy<HttpClient> _client = new(make);

    public HttpClient Http => _client.Value;

    public void Dispose()
    {
        if (_client.IsValueCreated)
            _client.Value.Dispose();
    }
}

/// <summary>Downloads of one warming: a few at a time, each tried again when its server is busy, and looked after: is it in the cache now?</summary>
[SuppressMessage("Design", "CA1001", Justification = "Its semaphore holds no handle.")]
internal sealed class WarmDownload(WarmClient client, ContentCache cache, TimeProvider time)
{
    private const int AtOnce = 6;
    private const int Tries = 3;
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(5);
    private readonly SemaphoreSlim _gate = new(AtOnce);

    /// <summary>Brings one file into the cache.</summary>
    /// <exception cref="WarmException">It cannot be had, or is not kept.</exception>
    public async Task StoreAsync(WarmFile file, string? authorization, WarmMeter meter, CancellationToken cancel)
    {
        var address = AddressOf(file.Url);
        var integrity = Integrity.Parse(file.Integrity, isOfFiles: address.AbsolutePath.EndsWith(".zip", StringComparison.Ordinal));
        var stored = Stored(address);
        if (integrity is null && stored is { } size)
        {
            meter.Received(size);
            return;
        }

        // What is here is read as its client would read it, without its server, to see whether it is what is meant. If not, its server may have it.
        // One that came a moment ago answers before it is known to be here.
        for (var isFirst = true; ; isFirst = false)
        {
            using var answer = await AskAsync(file, address, authorization, meter, cancel, integrity: integrity, maxStale: isFirst && stored is not null);
            if (answer.Status != HttpStatusCode.OK)
                throw answer.Refused();
            if (integrity is null || answer.Is(integrity))
            {
                if (!answer.IsKept && !await IsStoredSoonAsync(address, cancel))
                    throw new WarmException($"{file.Url.Split('?')[0]} came, but is not kept: {Explain(address)}");
                return;
            }

            await cache.DropAsync(RequestOf(address), cancel);
            if (!isFirst || (stored is null && !answer.IsHit))
                throw new WarmException($"{answer.Address} has {answer.Written(integrity)}, but {integrity} is meant");
        }
    }

    /// <summary>Gets an answer that has to be read, such as an index. Whether it is kept is no matter.</summary>
    /// <param name="most">Bytes that it may have.</param>
    /// <exception cref="WarmException">No answer came, or it is too long.</exception>
    public Task<WarmAnswer> ReadAsync(WarmFile file, string? authorization, int most, WarmMeter meter, CancellationToken cancel) =>
        AskAsync(file, AddressOf(file.Url), authorization, meter, cancel, most);

    private async Task<WarmAnswer> AskAsync(WarmFile file, Uri address, string? authorization, WarmMeter meter, CancellationToken cancel, int most = 0,
        Integrity? integrity = null, bool maxStale = false)
    {
        for (var tries = 1; ; tries++)
        {
            TimeSpan pause;
            await _gate.WaitAsync(cancel);
            try
            {
                var answer = await OnceAsync(file, address, authorization, meter, most, integrity, maxStale, cancel);
                if (tries == Tries || !answer.IsBusy)
                    return answer;
                pause = answer.RetryAfter ?? TimeSpan.FromSeconds(tries);
                answer.Dispose();
            }
            catch (Exception e) when (!cancel.IsCancellationRequested && e is HttpRequestException or IOException or OperationCanceledException)
            {
                // What came before is with the proxy, which goes on from there.
                if (tries == Tries)
                    throw new WarmException($"{address.Authority} did not answer in full: {e.Message}");
                pause = TimeSpan.FromSeconds(tries);
            }
            finally
            {
                _gate.Release();
            }

            await Task.Delay(pause < LongestPause ? pause : LongestPause, time, cancel);
        }
    }

    private async Task<WarmAnswer> OnceAsync(WarmFile file, Uri address, string? authorization, WarmMeter meter, int most, Integrity? integrity, bool maxStale, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        Add(request, "Accept", file.Accept);
        Add(request, "Accept-Encoding", file.AcceptEncoding);
        Add(request, "User-Agent", file.UserAgent ?? "discobot");
        Add(request, "Authorization", authorization);
        Add(request, "Cache-Control", maxStale ? "max-stale" : null);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(Silence);
        var answer = new WarmAnswer(await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token));
        try
        {
            if (!answer.IsHit && answer.Status == HttpStatusCode.OK)
                meter.Fetched();
            await ReadAsync(answer, most, integrity, meter, patience);
            return answer;
        }
        catch
        {
            answer.Dispose();
            throw;
        }
    }

    private async Task ReadAsync(WarmAnswer answer, int most, Integrity? integrity, WarmMeter meter, CancellationTokenSource patience)
    {
        await using var sent = await answer.Response.Content.ReadAsStreamAsync(patience.Token);
        // A file's hash is that of what its client unpacks.
        await using var body = integrity is null ? sent : ContentCodings.Decoding(sent, string.Concat(answer.Response.Content.Headers.ContentEncoding)) ?? sent;
        using var hash = integrity is null or { IsOfFiles: true } ? null : IncrementalHash.CreateHash(integrity.Algorithm);
        // A zip is read from its end.
        await using var archive = integrity is { IsOfFiles: true } && answer.Status == HttpStatusCode.OK
            ? cache.CreateScratch() : null;
        var buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            while (await body.ReadAsync(buffer, patience.Token) is var read and > 0)
            {
                patience.CancelAfter(Silence);
                if (answer.Status == HttpStatusCode.OK)
                    meter.Received(read);
                hash?.AppendData(buffer, 0, read);
                if (archive is not null && archive.Length + read <= GoArchive.MaxSize)
                    await archive.WriteAsync(buffer.AsMemory(0, read), patience.Token);
                if (most == 0)
                    continue;
                if (answer.Body.Length + read > most)
                    throw new WarmException($"{answer.Address} is longer than {most >> 20} MiB");
                answer.Body.Write(buffer, 0, read);
            }

            answer.Digest = archive is not null ? await Task.Run(() => GoArchive.Digest(archive), patience.Token) : hash?.GetHashAndReset();
        }
        catch (InvalidDataException)
        {
            // It cannot be unpacked and so has no hash. It is kept, and taken away again, only once all of it has come.
            while (await sent.ReadAsync(buffer, patience.Token) > 0)
                patience.CancelAfter(Silence);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // An entry serves a moment after its last byte has come.
    private async Task<bool> IsStoredSoonAsync(Uri address, CancellationToken cancel)
    {
        for (var started = time.GetTimestamp(); ; await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancel))
        {
            if (Stored(address) is not null)
                return true;
            if (time.GetElapsedTime(started) > Settled)
                return false;
        }
    }

    private long? Stored(Uri address) => cache.Explain("GET", RequestOf(address)).Stored?.Size;

    private string Explain(Uri address) => cache.Explain("GET", RequestOf(address)).Reason ?? "its host forbids it";

    private static ProxiedRequest RequestOf(Uri address) => new()
    {
        Id = "",
        Scheme = address.Scheme,
        Target = new ConnectTarget(ConnectTarget.Normalize(address.IdnHost), address.Port),
        PathAndQuery = address.PathAndQuery,
    };

    private static Uri AddressOf(string url) =>
        Uri.TryCreate(url.Split('#')[0], UriKind.Absolute, out var address) && address.Scheme is "http" or "https" && address.UserInfo.Length == 0
            ? address
            : throw new WarmException("its address is no http or https URL without user and password");

    private static void Add(HttpRequestMessage request, string name, string? value)
    {
        if (value is not null)
            request.Headers.TryAddWithoutValidation(name, value);
    }
}

/// <summary>An answer that was read to its end.</summary>
internal sealed class WarmAnswer(HttpResponseMessage response) : IDisposable
{
    public HttpResponseMessage Response => response;

    public MemoryStream Body { get; } = new();

    /// <summary>Of what came, unpacked, where its hash was asked for; null also where it cannot be unpacked.</summary>
    public byte[]? Digest { get; set; }

    public bool Is(Integrity integrity) => Digest is not null && integrity.IsMetBy(Digest);

    public string Written(Integrity integrity) => Digest is null ? "something that cannot be unpacked" : integrity.Write(Digest);

    public HttpStatusCode Status => response.StatusCode;

    /// <summary>Where it came from, without the query, which may be signed.</summary>
    public string Address => response.RequestMessage?.RequestUri?.GetLeftPart(UriPartial.Path) ?? "the server";

    public bool IsHit => Field("X-Cache") == "HIT";

    /// <summary>Whether the cache has it, as far as it says so.</summary>
    public bool IsKept => IsHit || Field("Cache-Status").Contains("stored", StringComparison.Ordinal) || Field("Cache-Status").Contains("hit", StringComparison.Ordinal);

    public bool IsBusy => (int)Status is 429 or 502 or 503 or 504 && Field("X-Discobot-Error").Length == 0;

    public TimeSpan? RetryAfter => response.Headers.RetryAfter?.Delta;

    public WarmException Refused() => new(Field("X-Discobot-Error") is { Length: > 0 } reason
        ? $"the proxy refused {Address}: {reason}"
        : $"{Address} answered {(int)Status}");

    public string Field(string name) => response.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : "";

    public void Dispose()
    {
        Body.Dispose();
        response.Dispose();
    }
}
