using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Builders;

namespace Discobot.Integration.Images;

/// <summary>The image with nothing in it but the executable, as it is without any argument.</summary>
[Collection("network")]
public sealed class ScratchTests(NetworkFixture fixture)
{
    [Fact]
    public async Task It_runs_the_proxy_which_is_healthy_and_serves_who_shares_its_network()
    {
        await using var server = Engine.Container(Engine.Tools)
            .WithEntrypoint("python3", "-m", "http.server", "--directory", "/srv", "80")
            .WithNetwork(fixture.Network).WithNetworkAliases("plain.test")
            .WithResourceMapping("hello"u8.ToArray(), "/srv/hello")
            .Build();
        await using var proxy = Engine.Container("discobot:scratch")
            .WithNetwork(fixture.Network)
            .WithCreateParameterModifier(parameters => parameters.Healthcheck = new() { Interval = TimeSpan.FromMilliseconds(500) })
            .WithWaitStrategy(Wait.ForUnixContainer().UntilContainerIsHealthy())
            .Build();
        await Task.WhenAll(server.StartAsync(), proxy.StartAsync());
        await using var client = Engine.Container(Engine.Tools)
            .WithEntrypoint("sleep", "infinity")
            .WithCreateParameterModifier(parameters => parameters.HostConfig!.NetworkMode = $"container:{proxy.Id}")
            .Build();
        await client.StartAsync();

        Assert.Equal("hello", await client.RunAsync("curl", "-sS", "--fail", "--retry", "5", "--retry-connrefused", "-x", "http://localhost:17080", "http://plain.test/hello"));
        // Nobody's authority is known in it: what is https is refused, with the reason, until it is told whom to trust.
        Assert.Contains("X-Discobot-Error: ", await client.RunAsync("curl", "-sS", "-k", "-i", "-x", "http://localhost:17080", "https://registry.test/v2/"), StringComparison.OrdinalIgnoreCase);
        var (output, errors) = await proxy.GetLogsAsync();
        Assert.Contains("host=plain.test path=/hello", output + errors, StringComparison.Ordinal);
    }
}
