namespace Discobot.Features.Cache.Revalidation;

public sealed class CacheControlTests
{
    [Theory]
    [InlineData("max-age=60", 60L)]
    [InlineData("MAX-AGE=60", 60L)]
    [InlineData("public, max-age=60", 60L)]
    [InlineData("max-age=\"60\"", 60L)]
    [InlineData("ext=\"max-age=7, no-store\", max-age=60", 60L)]
    [InlineData("ext=\"a\\\"b, max-age=7\" , max-age=60 ", 60L)]
    [InlineData("max-age=060", 60L)]
    [InlineData("max-age=99999999999999999999999", CacheControl.Endless)]
    [InlineData("max-age=-1", 0L)]
    [InlineData("max-age=1.5", 0L)]
    [InlineData("max-age='60'", 0L)]
    [InlineData("max-age= 60", 0L)]
    [InlineData("max-age", 0L)]
    [InlineData("max-age=", 0L)]
    [InlineData("max-age=60, max-age=60", 60L)]
    [InlineData("max-age=60, max-age=90", 0L)]
    [InlineData("ext=\"max-age=7", null)]
    [InlineData("max-age:60", null)]
    [InlineData(",,=,", null)]
    [InlineData("", null)]
    public void A_lifetime_is_what_stands_there_and_none_where_that_is_in_doubt(string text, long? expected) =>
        Assert.Equal(expected, CacheControl.Parse([text]).Seconds("max-age"));

    [Fact]
    public void Lines_are_one_list_and_a_malformed_directive_hides_none_beside_it()
    {
        var control = CacheControl.Parse(["pub lic, =x, ,", "No-Store", "max-stale"]);
        Assert.True(control.Has("no-store"));
        Assert.True(control.HasBare("max-stale"));
        Assert.False(control.Has("private"));
    }
}
