using System.Text;
using Discobot.Features.Cache.Records;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Credentials;

/// <summary>Answers for everybody that their server chose by a field in which there was a secret.</summary>
public sealed class CredentialVariantsTests : IAsyncLifetime
{
    private const string First = "first/s3cret+of=the~operator", Second = "second-s3cret-of-the-operator";

    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string Directory => Path.GetDirectoryName(_proxy.LogFile)!;

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_OTHER_KEY", "other-s3cret-of-the-operator");
        _proxy = await RunningProxy.StartAsync("""
            secrets:
              one: {value: "file:{DIR}/token", hosts: [localhost], env: ONE, redact: false}
              other: {value: "env:DISCOBOT_TEST_OTHER_KEY", hosts: [localhost], env: OTHER, redact: false}
            headers:
              localhost: {set: {X-Team: "file:{DIR}/team"} }
            cache: {dir: "{DIR}/cache", rules: [{host: localhost, pattern: "^/"}]}
            """);
        await WriteAsync("token", First);
        await WriteAsync("team", "blue");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            context.Response.Headers.Vary = context.Request.Path == "/team" ? "X-Team" : "X-Key, Accept-Language";
            context.Response.Headers.CacheControl = "public, max-age=600";
            return context.Response.WriteAsync(context.Request.Headers[context.Request.Path == "/team" ? "X-Team" : "X-Key"].ToString());
        });
        await Eventually.TrueAsync(async () => await AskAsync("/begin", Placeholder("ONE")) is (First, _) && await AskAsync("/team", null) is ("blue", _));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task Each_secret_has_its_own_also_when_its_value_changes()
    {
        var (one, other) = (Placeholder("ONE"), Placeholder("OTHER"));
        foreach (var state in (string[])["MISS", "HIT"])
        {
            Assert.Equal((First, state), await AskAsync("/varied", one));
            Assert.Equal(("other-s3cret-of-the-operator", state), await AskAsync("/varied", other));
            Assert.Equal(("", state), await AskAsync("/varied", null));
        }

        await WriteAsync("token", Second);
        await ReadAnewAsync(Second);
        Assert.Equal((Second, "MISS"), await AskAsync("/varied", one));
        Assert.Equal((Second, "HIT"), await AskAsync("/varied", one));
        // What a header rule adds, its server chooses by as well.
        await WriteAsync("team", "red");
        await Eventually.TrueAsync(async () => await AskAsync("/team", null) is ("red", _));
    }

    [Fact]
    public async Task What_names_a_record_lets_nobody_try_values_on_it()
    {
        Assert.Equal((First, "MISS"), await AskAsync("/varied", Placeholder("ONE")));
        await Eventually.TrueAsync(async () => await AskAsync("/varied", Placeholder("ONE")) is (_, "HIT"));
        var kept = string.Concat(System.IO.Directory.EnumerateFiles(Path.Combine(Directory, "cache"), "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != ".lock").Select(Text));
        Assert.Contains("/varied#vary=", kept, StringComparison.Ordinal);
        foreach (var values in (string[])[$"accept-language:\0\nx-key:{First}\n", $"x-key:{First}\n", $"x-key:{First}"])
            Assert.DoesNotContain(Hash256.Of(values).ToString(), kept, StringComparison.Ordinal);
    }

    private async Task<(string Body, string Cache)> AskAsync(string path, string? key)
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Https + path);
        if (key is not null)
            request.Headers.TryAddWithoutValidation("X-Key", key);
        using var answer = await client.SendAsync(request);
        return (await answer.Content.ReadAsStringAsync(), answer.Headers.TryGetValues("X-Cache", out var cache) ? cache.Single() : "");
    }

    private Task WriteAsync(string name, string value) => File.WriteAllTextAsync(Path.Combine(Directory, name), value + "\n");

    private Task ReadAnewAsync(string value)
    {
        var secret = _proxy.Services.GetRequiredService<IReadOnlyList<HeldSecret>>().Single(s => s.Name == "one");
        return Eventually.TrueAsync(() => Task.FromResult(secret.Read().Value == value));
    }

    private string Placeholder(string name) =>
        File.ReadAllLines(Path.Combine(Directory, "placeholders.env")).Single(line => line.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];

    // The proxy holds some of them locked.
    private static string Text(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete), Encoding.Latin1);
        return reader.ReadToEnd();
    }
}
