using System.Net;
using Discobot.Features.Configuration;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Interception;

/// <summary>A change of rules counts for what is open already.</summary>
public sealed class LiveRulesTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private readonly HashSet<string> _connections = [];

    private LiveConfiguration Configuration => _proxy.Services.GetRequiredService<LiveConfiguration>();

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            _connections.Add(context.Connection.Id);
            return context.Response.WriteAsync("fine");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task A_pooled_connection_to_an_address_that_is_now_forbidden_serves_nobody(string scheme)
    {
        using var client = _proxy.Client();
        var address = new Uri(scheme == "http" ? _origin.Http : _origin.Https);
        for (var round = 1; round <= 10; round++)
        {
            Assert.Equal("fine", await client.GetStringAsync(address));
            Assert.Equal("fine", await client.GetStringAsync(address));
            Assert.Equal(round, _connections.Count);

            Assert.True(Configuration.Apply("""{"allowlist": {"ips": []}}"""u8, merge: true).IsValid);
            using var refused = await client.GetAsync(address);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
            Assert.Contains("loopback address", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);

            Assert.True(Configuration.Apply("""{"allowlist": {"ips": ["127.0.0.1"]}}"""u8, merge: true).IsValid);
        }
    }
}
