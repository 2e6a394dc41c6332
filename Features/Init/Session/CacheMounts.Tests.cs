namespace Discobot.Features.Init.Session;

public sealed class CacheMountsTests
{
    [Theory]
    [InlineData("/home/discobot/.cache/x", ".cache/x")]
    [InlineData("/home/discobot//a//b/", "a/b")]
    [InlineData("/home/discobot", null)]
    [InlineData("/home/discobot/", null)]
    [InlineData("/home/discobot/../../etc", null)]
    [InlineData("/home/discobot/./x", null)]
    [InlineData("/home/discobots/x", null)]
    [InlineData("/etc", null)]
    [InlineData("relative", null)]
    [InlineData("/home/discobot/a\nb", null)]
    public void Only_paths_strictly_below_the_home_are_taken(string path, string? expected) => Assert.Equal(expected, CacheMounts.Within(path));
}
