namespace Discobot.Features.Init;

public sealed class ManagedBlockTests
{
    [Theory]
    [InlineData("")]
    [InlineData("a=1\n")]
    [InlineData("a=1")]
    public void Put_twice_it_stands_there_once(string text)
    {
        var once = ManagedBlock.Put(text, ["x", "y"]);
        Assert.Equal(once, ManagedBlock.Put(once, ["x", "y"]));
        Assert.EndsWith("\nx\ny\n# discobot: end\n", once, StringComparison.Ordinal);
    }

    [Fact]
    public void New_lines_replace_the_old_ones_and_what_the_user_wrote_stays()
    {
        var changed = ManagedBlock.Put(ManagedBlock.Put("before\n", ["old"]) + "after\n", ["new"]);
        Assert.DoesNotContain("old", changed, StringComparison.Ordinal);
        Assert.StartsWith("before\nafter\n", changed, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a=1\nb=2\n")]
    public void Taken_away_the_text_is_as_it_was(string text) => Assert.Equal(text, ManagedBlock.Put(ManagedBlock.Put(text, ["x"]), []));
}
