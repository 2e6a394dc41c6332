using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Cache.Remote;

/// <summary>Where credentials come from, the first that there is.</summary>
public sealed class AwsCredentialChainTests : IAsyncLifetime, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly RemoteClient _client = RemoteClient.Create(Task.FromResult(new X509Certificate2Collection()));
    private readonly Dictionary<string, string> _variables = [];
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private RequestDelegate _answer = _ => Task.CompletedTask;
    private FaultProxy _service = null!;
    private int _asked;

    public async Task InitializeAsync() => _service = await FaultProxy.StartAsync(context =>
    {
        _asked++;
        return _answer(context);
    });

    public async Task DisposeAsync() => await _service.DisposeAsync();

    public void Dispose()
    {
        _client.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private AwsCredentialChain Chain => new(_variables, _client, "eu-test-1", _time);

    [Fact]
    public async Task Variables_go_first()
    {
        await FileAsync("[default]\naws_access_key_id = of the file\naws_secret_access_key = x\n");
        (_variables["AWS_ACCESS_KEY_ID"], _variables["AWS_SECRET_ACCESS_KEY"], _variables["AWS_SESSION_TOKEN"]) = ("id", "secret", "token");
        Assert.Equal(new AwsCredentials("id", "secret", "token"), await GetAsync(Chain));
    }

    [Theory]
    [InlineData(null, "one")]
    [InlineData("build", "two")]
    public async Task The_shared_file_has_profiles(string? profile, string id)
    {
        await FileAsync("# mine\n[default]\naws_access_key_id=one\naws_secret_access_key = s=1/+\n\n[ build ]\n aws_access_key_id = two\naws_secret_access_key = s=1/+\n");
        if (profile is not null)
            _variables["AWS_PROFILE"] = profile;
        Assert.Equal(new AwsCredentials(id, "s=1/+"), await GetAsync(Chain));
    }

    [Fact]
    public async Task What_somebody_writes_anew_counts_after_a_refusal_and_after_some_minutes()
    {
        await FileAsync("[default]\naws_access_key_id = a\naws_secret_access_key = s\n");
        var chain = Chain;
        Assert.Equal("a", (await GetAsync(chain)).Id);
        await FileAsync("[default]\naws_access_key_id = b\naws_secret_access_key = s\n");
        Assert.Equal("a", (await GetAsync(chain)).Id);
        chain.Forget();
        Assert.Equal("b", (await GetAsync(chain)).Id);
        await FileAsync("[default]\naws_access_key_id = c\naws_secret_access_key = s\n");
        _time.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal("c", (await GetAsync(chain)).Id);
    }

    [Fact]
    public async Task A_web_identity_is_exchanged_for_a_time_and_asked_for_anew_before_that_ends()
    {
        await File.WriteAllTextAsync(Path.Join(_directory, "token"), "the.jwt\n");
        (_variables["AWS_WEB_IDENTITY_TOKEN_FILE"], _variables["AWS_ROLE_ARN"], _variables["AWS_ENDPOINT_URL_STS"]) = (Path.Join(_directory, "token"), "arn:aws:iam::1:role/r", _service.Address);
        _answer = async context =>
        {
            var form = await context.Request.ReadFormAsync();
            Assert.Equal(("AssumeRoleWithWebIdentity", "2011-06-15", "arn:aws:iam::1:role/r", "the.jwt"), (form["Action"].ToString(), form["Version"].ToString(), form["RoleArn"].ToString(), form["WebIdentityToken"].ToString()));
            await context.Response.WriteAsync($"<AssumeRoleWithWebIdentityResponse xmlns=\"x\"><AssumeRoleWithWebIdentityResult><Credentials><SessionToken>t&amp;1</SessionToken><SecretAccessKey>s</SecretAccessKey><Expiration>{_time.GetUtcNow().AddMinutes(8):yyyy-MM-ddTHH:mm:ssZ}</Expiration><AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
        };
        var chain = Chain;
        for (var i = 0; i < 2; i++)
        {
            var found = await GetAsync(chain);
            Assert.Equal(("ASIA", "s", "t&1"), (found.Id, found.Secret, found.Token));
        }

        Assert.Equal(1, _asked);
        _time.Advance(TimeSpan.FromMinutes(4));
        await GetAsync(chain);
        Assert.Equal(2, _asked);
    }

    [Fact]
    public async Task The_containers_endpoint_is_asked_with_its_token()
    {
        await File.WriteAllTextAsync(Path.Join(_directory, "token"), "the token\n");
        (_variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], _variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]) = ($"{_service.Address}/v1/credentials", Path.Join(_directory, "token"));
        _answer = context => context.Request.Headers.Authorization == "the token" && context.Request.Path == "/v1/credentials"
            ? context.Response.WriteAsync("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}")
            : CacheStage.Status(context, 403);
        var found = await GetAsync(Chain);
        Assert.Equal(("A", "s", "t"), (found.Id, found.Secret, found.Token));
    }

    [Theory]
    [InlineData("{\"AccessKeyId\":\"s3cret\"}")]
    [InlineData("s3cret")]
    public async Task What_cannot_be_had_is_told_without_what_was_said(string answer)
    {
        _variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = _service.Address;
        _answer = context => context.Response.WriteAsync(answer);
        var error = await Assert.ThrowsAsync<RemoteException>(() => GetAsync(Chain));
        Assert.Equal(RemoteFailure.Denied, error.Failure);
        Assert.DoesNotContain("s3cret", error.ToString(), StringComparison.Ordinal);
        _variables.Clear();
        Assert.StartsWith("there are no credentials", (await Assert.ThrowsAsync<RemoteException>(() => GetAsync(Chain))).Message, StringComparison.Ordinal);
    }

    /// <summary>Addresses without a scheme, of another one, or none at all; files that are directories: the store refuses, and nobody's request ends with it.</summary>
    [Theory]
    [InlineData("AWS_WEB_IDENTITY_TOKEN_FILE", "localhost:4566")]
    [InlineData("AWS_WEB_IDENTITY_TOKEN_FILE", "ftp://localhost/")]
    [InlineData("AWS_WEB_IDENTITY_TOKEN_FILE", "http://[")]
    [InlineData("AWS_CONTAINER_CREDENTIALS_*", "localhost:4566")]
    [InlineData("AWS_CONTAINER_CREDENTIALS_*", "/relative")]
    public async Task Addresses_that_are_none_are_told_with_the_variables_name(string source, string address)
    {
        await File.WriteAllTextAsync(Path.Join(_directory, "token"), "the.jwt\n");
        if (source.StartsWith("AWS_WEB", StringComparison.Ordinal))
            (_variables["AWS_WEB_IDENTITY_TOKEN_FILE"], _variables["AWS_ROLE_ARN"], _variables["AWS_ENDPOINT_URL_STS"]) = (Path.Join(_directory, "token"), "arn:aws:iam::1:role/r", address);
        else
            _variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = address;
        var error = await Assert.ThrowsAsync<RemoteException>(() => GetAsync(Chain));
        Assert.Equal(RemoteFailure.Denied, error.Failure);
        Assert.Contains(source, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Some say so of what does not end: it is used, and asked for anew soon.</summary>
    [Theory]
    [InlineData("0001-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59Z")]
    public async Task What_ends_on_the_first_or_the_last_day_of_the_calendar_is_used(string end)
    {
        _variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = _service.Address;
        _answer = context => context.Response.WriteAsync($"{{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"{end}\"}}");
        var chain = Chain;
        Assert.Equal("A", (await GetAsync(chain)).Id);
        Assert.Equal("A", (await GetAsync(chain)).Id);
        Assert.Equal(1, _asked);
        _time.Advance(TimeSpan.FromMinutes(11));
        await GetAsync(chain);
        Assert.Equal(2, _asked);
    }

    private static Task<AwsCredentials> GetAsync(AwsCredentialChain chain) => chain.GetAsync(CancellationToken.None);

    private async Task FileAsync(string text)
    {
        _variables["AWS_SHARED_CREDENTIALS_FILE"] = Path.Join(_directory, "credentials");
        await File.WriteAllTextAsync(Path.Join(_directory, "credentials"), text);
    }
}
