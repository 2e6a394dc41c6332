using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Packages;

/// <summary>Documents of several clients at once.</summary>
public sealed class DocumentMemoryTests : IDisposable
{
    private readonly DocumentMemory _memory = new();

    public void Dispose() => _memory.Dispose();

    [Fact]
    public async Task Large_documents_are_in_memory_for_one_client_at_a_time_and_small_ones_wait_for_nobody()
    {
        var (first, second, third) = (Client(), Client(), Client());
        // What is asked for on one client's behalf is all his.
        Assert.Equal(DocumentMemory.Small + 1, (await _memory.UnpackAsync(first.Context, Packed(DocumentMemory.Small + 1)))!.Value.Length);
        Assert.Equal(DocumentMemory.Small + 2, (await _memory.UnpackAsync(first.Context, Packed(DocumentMemory.Small + 2)))!.Value.Length);

        var unpacking = _memory.UnpackAsync(second.Context, Packed(DocumentMemory.Small + 1)).AsTask();
        Assert.Equal(DocumentMemory.Small, (await _memory.UnpackAsync(third.Context, Packed(DocumentMemory.Small)))!.Value.Length);
        var keeping = _memory.EnterAsync(third.Context, DocumentMemory.Small + 1).AsTask();
        Assert.False(unpacking.IsCompleted || keeping.IsCompleted);

        // With his answer he leaves.
        await first.Response.EndAsync();
        await Task.WhenAny(unpacking, keeping);
        Assert.True(unpacking.IsCompleted ^ keeping.IsCompleted);
        await second.Response.EndAsync();
        await third.Response.EndAsync();
        await Task.WhenAll(unpacking, keeping);
        await second.Response.EndAsync();
        await third.Response.EndAsync();
    }

    [Fact]
    public async Task A_byte_order_mark_is_none_of_the_document()
    {
        byte[] body = [0xEF, 0xBB, 0xBF, (byte)'{', (byte)'}'];
        Assert.Equal("{}"u8.ToArray(), (await _memory.UnpackAsync(Client().Context, new OriginAnswer(200, new HeaderDictionary(), body)))!.Value.ToArray());
    }

    private static OriginAnswer Packed(int size)
    {
        using var packed = new MemoryStream();
        using (var packing = new GZipStream(packed, CompressionLevel.Fastest))
            packing.Write(new byte[size]);
        return new OriginAnswer(200, new HeaderDictionary { ["Content-Encoding"] = "gzip" }, packed.ToArray());
    }

    private static (HttpContext Context, Answer Response) Client()
    {
        var answer = new Answer();
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature());
        features.Set<IHttpResponseFeature>(answer);
        return (new DefaultHttpContext(features), answer);
    }

    private sealed class Answer : HttpResponseFeature
    {
        private readonly List<(Func<object, Task> Call, object State)> _atEnd = [];

        public override void OnCompleted(Func<object, Task> callback, object state) => _atEnd.Add((callback, state));

        public async Task EndAsync()
        {
            foreach (var (call, state) in _atEnd)
                await call(state);
            _atEnd.Clear();
        }
    }
}
