using System.Text.Json;

namespace Discobot.Features.Init;

public sealed class NestedDockerTests
{
    private const string Proxy = "http://172.17.0.1:17080";

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
        var with = NestedDocker.Settings(Own, Proxy, 17080)!;
        Assert.Contains($"\"httpsProxy\": \"{Proxy}\"", with, StringComparison.Ordinal);
        Assert.Null(NestedDocker.Settings(with, Proxy, 17080));
        Assert.Equal(Own, NestedDocker.Settings(with, null, 17080));
        Assert.Null(NestedDocker.Settings(Own, null, 17080));
        Assert.Null(NestedDocker.Settings("", null, 17080));
    }

    [Theory]
    [InlineData("""{"proxies":{"default":{"httpProxy":"http://corp.example:3128"}}}""")]
    [InlineData("""{"proxies":{"default":{}}}""")]
    public void Proxies_of_somebody_elses_stay(string text) => Assert.Null(NestedDocker.Settings(text, Proxy, 17080));

    [Fact]
    public void What_is_no_object_is_an_error() => Assert.ThrowsAny<JsonException>(() => NestedDocker.Settings("[]", Proxy, 17080));
}
