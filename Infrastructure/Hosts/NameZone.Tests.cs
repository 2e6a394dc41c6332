namespace Discobot.Infrastructure.Hosts;

public sealed class NameZoneTests
{
    [Theory]
    [InlineData("example.com", "example.com")]
    [InlineData("a.b.Example.com.", "example.com")]
    [InlineData("localhost", "localhost")]
    [InlineData("", "")]
    [InlineData(".test", ".test")]
    [InlineData("a..test", ".test")]
    public void It_is_the_last_two_labels(string name, string zone) => Assert.Equal(zone, NameZone.Of(name));
}
