namespace Discobot.Features.Init.Variables;

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

    [Fact]
    public void A_block_whose_end_somebody_took_away_does_not_take_what_follows()
    {
        var broken = ManagedBlock.Put("before\n", ["old"]).Replace("# discobot: end\n", "after\n", StringComparison.Ordinal);
        var changed = ManagedBlock.Put(broken, ["new"]);
        Assert.Contains("after\n", changed, StringComparison.Ordinal);
        Assert.Equal(changed, ManagedBlock.Put(changed, ["new"]));
    }

    [Fact]
    public void A_file_that_is_no_UTF8_keeps_its_bytes_and_our_lines_are_UTF8()
    {
        var path = Path.GetTempFileName();
        File.WriteAllBytes(path, [0xE4, (byte)'\n']);
        Assert.True(ManagedBlock.PutInto(path, ["ü"]));
        Assert.False(ManagedBlock.PutInto(path, ["ü"]));
        var bytes = File.ReadAllBytes(path);
        Assert.Equal(0xE4, bytes[0]);
        Assert.True(bytes.AsSpan().IndexOf("\nü\n"u8) > 0);
        File.Delete(path);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a=1\nb=2\n")]
    public void Taken_away_the_text_is_as_it_was(string text) => Assert.Equal(text, ManagedBlock.Put(ManagedBlock.Put(text, ["x"]), []));
}
