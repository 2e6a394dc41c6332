using System.Text.Json;

namespace Discobot.Features.Init.Docker;

public sealed class NestedDockerTests
{
    private const string Proxy = "http://172.17.0.1:17080";
    private const string Direct = "localhost,127.0.0.1,::1,corp.example";

    [Fact]
    public void The_clients_settings_get_the_proxy_and_lose_it_again_and_the_rest_stays()
    {
        const string Own = """
            {
              "auths": {
                "registry.example": {}
              }
            }

            """;
        var with = NestedDocker.Settings(Own, Proxy, Direct)!;
        Assert.Contains($"\"httpsProxy\": \"{Proxy}\"", with, StringComparison.Ordinal);
        Assert.Null(NestedDocker.Settings(with, Proxy, Direct));
        Assert.Equal(Own, NestedDocker.Settings(with, null, Direct));
        Assert.Null(NestedDocker.Settings(Own, null, Direct));
        Assert.Null(NestedDocker.Settings("", null, Direct));
    }

    [Fact]
    public void Ours_of_another_start_are_known_though_bridge_port_and_exceptions_were_others()
    {
        var old = NestedDocker.Settings("", "http://172.18.0.1:18080", "localhost,127.0.0.1,::1")!;
        Assert.Equal(NestedDocker.Settings("", Proxy, Direct), NestedDocker.Settings(old, Proxy, Direct));
        Assert.Equal("", NestedDocker.Settings(old, null, Direct));
    }

    [Theory]
    [InlineData("""{"proxies":{"default":{"httpProxy":"http://corp.example:17080"}}}""")]
    [InlineData("""{"proxies":{"default":{"httpProxy":"http://10.0.0.1:3128","httpsProxy":"http://10.0.0.1:3128","noProxy":"corp.example"}}}""")]
    [InlineData("""{"proxies":{"default":{}}}""")]
    public void Proxies_of_somebody_elses_stay(string text) => Assert.Null(NestedDocker.Settings(text, Proxy, Direct));

    [Fact]
    public void What_is_no_object_is_an_error() => Assert.ThrowsAny<JsonException>(() => NestedDocker.Settings("[]", Proxy, Direct));
}
