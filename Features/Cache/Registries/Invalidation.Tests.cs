using System.Net;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Cache.Registries;

public sealed class InvalidationTests : IAsyncLifetime
{
    private readonly byte[] _body = TemporaryCache.Body(1000);
    private CacheStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CacheStage.StartAsync();
        _stage.Serve(_body);
        await _stage.ExpectAsync("MISS", _body);
        await _stage.ExpectAsync("HIT", _body);
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("DELETE", 202)]
    [InlineData("PUT", 201)]
    [InlineData("POST", 200)]
    [InlineData("PATCH", 204)]
    [InlineData("PURGE", 303)]
    public async Task A_request_that_changed_the_address_ends_its_record(string method, int status)
    {
        await SendAsync(method, _stage.Blob(_body), status);
        Assert.Equal(HttpStatusCode.NotFound, await ExistsAsync());
    }

    // The thread is one that sockets wait for: while a disk takes its time, everybody else goes on.
    [Fact]
    public async Task Whoever_sends_the_answer_does_not_wait_for_files()
    {
        using var hold = new ManualResetEventSlim();
        using var held = new ManualResetEventSlim();
        var files = (Lock[])typeof(CacheStore).GetField("_files", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!.GetValue(_stage.Store)!;
        var disk = new Thread(() =>
        {
            foreach (var one in files)
                one.Enter();
            held.Set();
            hold.Wait();
            foreach (var one in files)
                one.Exit();
        });
        disk.Start();
        held.Wait();
        var url = _stage.Blob(_body);
        var starting = new Starting();
        var context = new DefaultHttpContext();
        context.Features.Set<IHttpResponseFeature>(starting);
        context.Features.Set(new ProxiedRequest { Id = "1", Scheme = "http", Target = new ConnectTarget(url.Host, url.Port), PathAndQuery = url.PathAndQuery });
        context.Request.Method = "DELETE";
        _stage.Invalidation.Watch(context);

        var called = Task.Factory.StartNew(() => starting.Call!(), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            Assert.False((await called.WaitAsync(TimeSpan.FromSeconds(20))).IsCompleted);
        }
        finally
        {
            hold.Set();
            disk.Join();
        }

        await await called;
        Assert.Equal(HttpStatusCode.NotFound, await ExistsAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 0);
    }

    [Theory]
    [InlineData("DELETE", 405)]
    [InlineData("DELETE", 500)]
    [InlineData("OPTIONS", 200)]
    public async Task One_that_was_refused_or_changes_nothing_does_not(string method, int status)
    {
        await SendAsync(method, _stage.Blob(_body), status);
        Assert.Equal(HttpStatusCode.OK, await ExistsAsync());
    }

    [Theory]
    [InlineData("Location", false, true)]
    [InlineData("Content-Location", false, true)]
    [InlineData("Location", true, false)]
    public async Task So_does_one_whose_answer_names_the_address_on_the_same_origin(string field, bool otherOrigin, bool ends)
    {
        var url = _stage.Blob(_body);
        var named = otherOrigin ? _stage.Elsewhere(url.PathAndQuery) : url;
        _stage.Origin = context =>
        {
            context.Response.Headers[field] = named.AbsoluteUri;
            return CacheStage.Status(context, 201);
        };
        using (await _stage.Client.PutAsync(_stage.Elsewhere("/other"), null))
            Assert.Equal(HttpStatusCode.OK, await ExistsAsync());
        using (await _stage.Client.PutAsync(_stage.Url("/other"), null))
            Assert.Equal(ends ? HttpStatusCode.NotFound : HttpStatusCode.OK, await ExistsAsync());
    }

    [Fact]
    public async Task A_download_that_is_under_way_is_not_stored()
    {
        var body = TemporaryCache.Body(500_000);
        var go = new TaskCompletionSource();
        _stage.Origin = async context =>
        {
            if (!HttpMethods.IsGet(context.Request.Method))
                return;
            await context.Response.Body.WriteAsync(body.AsMemory(0, 1000));
            await go.Task.WaitAsync(TimeSpan.FromSeconds(5));
            await context.Response.Body.WriteAsync(body.AsMemory(1000));
        };
        using var response = await _stage.GetAsync(_stage.Blob(body));
        using (await _stage.Client.DeleteAsync(_stage.Blob(body)))
            go.SetResult();
        Assert.Equal(body, await response.Content.ReadAsByteArrayAsync());
        await CacheStage.EventuallyAsync(() => _stage.Files.Files().Length == 2);
        Assert.Equal(1, _stage.Stats.Stores);
    }

    [Fact]
    public async Task What_its_origin_said_before_is_no_proof_afterwards()
    {
        var (other, serve, go) = (_stage.Url($"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_body)}"), _stage.Origin, new TaskCompletionSource());
        _stage.Origin = async context =>
        {
            await go.Task.WaitAsync(TimeSpan.FromSeconds(60));
            await serve(context);
        };
        var asked = _stage.Asked.Count;
        var before = _stage.FetchAsync(other);
        await CacheStage.EventuallyAsync(() => _stage.Asked.Count > asked);
        await SendAsync("DELETE", other, 202);
        go.SetResult();
        Assert.Equal(_body, (await before).Body);
        await _stage.Store.CommittedAsync();
        Assert.False(_stage.Store.Knows(CacheRules.KeyOf(new ProxiedRequest { Id = "1", Scheme = "http", Target = new ConnectTarget(other.Host, other.Port), PathAndQuery = other.PathAndQuery })));
    }

    [Fact]
    public async Task A_record_that_is_on_its_way_is_ended_too()
    {
        await _stage.Store.CommittedAsync();
        var source = _stage.Store.Index.ToArray().Single();
        var record = _stage.Store.Describe(source)! with { Key = source.Origin + "/v2/b/blobs/sha256:" + TemporaryCache.HexOf(_body) };
        _stage.Store.AddRecord(source, record);
        Assert.True(_stage.Store.Knows(CacheKey.Of(record.Key)));
        await SendAsync("DELETE", new Uri(_stage.Url($"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_body)}").AbsoluteUri), 202);
        await _stage.Store.CommittedAsync();
        Assert.False(_stage.Store.Knows(CacheKey.Of(record.Key)));
    }

    /// <summary>Whoever changes what is there has one credential, and what was answered to all of them is no longer so.</summary>
    [Theory]
    [InlineData("/left/-/left-1.0.0.tgz")]
    [InlineData("/docs/of-a-rule")]
    [InlineData("/files/of-a-pattern.bin")]
    public async Task What_was_answered_to_credentials_ends_with_the_write_of_any(string path)
    {
        _stage.Options = _stage.Options with
        {
            Patterns = [new("^/files/", System.Text.RegularExpressions.RegexOptions.None)],
            Rules = [new() { Mode = Revalidation.CacheMode.Revalidate, Pattern = new("^/docs/") }],
        };
        await _stage.RestartAsync();
        var conditions = new List<string>();
        _stage.Origin = context =>
        {
            conditions.Add(context.Request.Headers.IfNoneMatch.ToString());
            var of = context.Request.Headers.Authorization + "|" + context.Request.Headers.Accept;
            context.Response.Headers.ETag = $"\"{of}\"";
            context.Response.Headers.Vary = "Accept";
            context.Response.Headers.CacheControl = "max-age=60";
            return HttpMethods.IsPut(context.Request.Method) ? CacheStage.Status(context, 201)
                : context.Request.Headers.IfNoneMatch == $"\"{of}\"" ? CacheStage.Status(context, 304)
                : context.Response.WriteAsync(of);
        };
        (string, string)[] clients = [("tom", "a"), ("tom", "b"), ("ann", "a")];
        foreach (var known in (bool[])[false, true, false])
        {
            conditions.Clear();
            foreach (var (credential, accept) in clients)
            {
                Assert.Equal($"{credential}|{accept}", await AskAsync(HttpMethod.Get, path, credential, accept));
                await _stage.Store.CommittedAsync();
            }

            Assert.Equal(known ? ["\"tom|a\"", "\"tom|b\"", "\"ann|a\""] : ["", "", ""], conditions);
            if (known)
                await AskAsync(HttpMethod.Put, path, "eve", "a");
        }
    }

    private async Task<string> AskAsync(HttpMethod method, string path, string credential, string accept)
    {
        using var request = new HttpRequestMessage(method, _stage.Url(path));
        request.Headers.TryAddWithoutValidation("Authorization", credential);
        request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await _stage.Client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    [Fact]
    public async Task The_body_stays_for_other_repositories()
    {
        var other = _stage.Url($"/v2/b/blobs/sha256:{TemporaryCache.HexOf(_body)}");
        await _stage.FetchAsync(other);
        await _stage.Store.CommittedAsync();
        await SendAsync("DELETE", _stage.Blob(_body), 202);
        Assert.Equal(HttpStatusCode.NotFound, await ExistsAsync());
        await _stage.ExpectAsync("HIT", _body, other);
    }

    private async Task SendAsync(string method, Uri url, int status)
    {
        _stage.Origin = context => CacheStage.Status(context, status);
        using var request = new HttpRequestMessage(new HttpMethod(method), url);
        using var response = await _stage.Client.SendAsync(request);
        Assert.Equal(status, (int)response.StatusCode);
    }

    // The origin has nothing now: what is found is what was stored.
    private async Task<HttpStatusCode> ExistsAsync()
    {
        var origin = _stage.Origin;
        _stage.Origin = context => CacheStage.Status(context, 404);
        using var request = new HttpRequestMessage(HttpMethod.Head, _stage.Blob(_body));
        using var response = await _stage.Client.SendAsync(request);
        _stage.Origin = origin;
        return response.StatusCode;
    }

    private sealed class Starting : HttpResponseFeature
    {
        public Func<Task>? Call { get; private set; }

        public override void OnStarting(Func<object, Task> callback, object state) => Call = () => callback(state);
    }
}
