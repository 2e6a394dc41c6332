namespace Discobot.Features.Init;

public sealed class GitCloneTests
{
    [Theory]
    [InlineData("https://user:secret@example.com/a.git", "https://***@example.com/a.git")]
    [InlineData("https://user:p@ss@example.com/a.git", "https://***@example.com/a.git")]
    [InlineData("fatal: unable to access 'https://ghp_x@h/a/': 403", "fatal: unable to access 'https://***@h/a/': 403")]
    [InlineData("git@example.com:a.git", "git@example.com:a.git")]
    [InlineData("https://example.com/@scope/a", "https://example.com/@scope/a")]
    public void Credentials_never_reach_the_log(string text, string shown) => Assert.Equal(shown, GitClone.Redact(text));
}
