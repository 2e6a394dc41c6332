using System.Collections.Immutable;
using System.Text;
using CsCheck;

namespace Discobot.Infrastructure.Config;

public sealed class ConfigDocumentTests
{
    private sealed record Sample(string Name, bool On, int Port, TimeSpan Wait, long Size, ImmutableArray<string> Words, string? First)
    {
        public static Sample Read(ConfigNode root) => new(
            root["name"].AsString("nobody"),
            root["on"].AsBool(true),
            root["inner"]["port"].AsInt(80, 1, 65535),
            root["inner"]["wait"].AsDuration(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
            root["size"].AsSize(1),
            root["words"].AsStrings(["a"]),
            root["expressions"].AsList([], n => n.AsRegex([])).FirstOrDefault()?.ToString());
    }

    private static ConfigResult<Sample> Read(string yaml) => ConfigDocument.Parse(yaml, "c.yaml").Read(Sample.Read);

    private static string Errors(string yaml) => Read(yaml).ErrorText();

    [Fact]
    public void What_is_written_is_read_and_the_rest_has_defaults()
    {
        var sample = Read("name: 'x'\non: no\ninner: {port: 99}\nsize: 2KiB\nwords:\n- b\n- \"c\"\nexpressions: ['^/v2/.*']\n").Value!;
        Assert.Equal(("x", false, 99, TimeSpan.FromSeconds(5), 2048L), (sample.Name, sample.On, sample.Port, sample.Wait, sample.Size));
        Assert.Equal(["b", "c"], sample.Words.ToArray());
        Assert.Equal("^/v2/.*", sample.First);
    }

    [Fact]
    public void Null_sections_and_values_mean_the_default()
    {
        var sample = Read("name:\ninner: ~\nwords: null\n").Value!;
        Assert.Equal(("nobody", 80), (sample.Name, sample.Port));
        Assert.Equal(["a"], sample.Words.ToArray());
    }

    [Fact]
    public void All_mistakes_are_told_at_once_in_the_order_of_the_file()
    {
        Assert.Equal(
            """
            c.yaml:1:5: on: must be true or false, not "maybe"
            c.yaml:3:3: inner.prot: unknown key; did you mean "port"?; known here: port, wait
            c.yaml:4:9: inner.wait: must be a time from 1s to 1h, as in 30s, 1h30m or 500ms, not "2h"
            c.yaml:5:7: size: must be a size of at least 1B, in bytes or as in 20GB, 50GiB or 50G, not "big"
            c.yaml:7:5: words[1]: must be a single value, not a list
            c.yaml:9:1: on: written twice; first on line 1
            c.yaml:10:1: zzzzzzzz: unknown key; known here: expressions, inner, name, on, size, words
            """,
            Errors("on: maybe\ninner:\n  prot: 1\n  wait: 2h\nsize: big\nwords: [a,\n    [b]]\n\non: true\nzzzzzzzz: 1\n"));
    }

    [Theory]
    [InlineData("", "c.yaml:1:1: nothing is written here; a mapping of sections is needed")]
    [InlineData("# only a remark\n", "c.yaml:1:1: nothing is written here; a mapping of sections is needed")]
    [InlineData("- a\n", "c.yaml:1:1: must be a mapping of sections, not a list")]
    [InlineData("hello", "c.yaml:1:1: must be a mapping of sections, not a single value")]
    [InlineData("name: a\n---\nname: b\n", "c.yaml:2:1: a second document begins here; one is allowed")]
    [InlineData("inner:\n\tport: 1\n", "c.yaml:2:1: a tab in the indentation; YAML allows spaces only")]
    [InlineData("name: *nowhere\n", "c.yaml:1:7: name: *nowhere names no anchor that was completed above")]
    [InlineData("words: &w [*w]\n", "c.yaml:1:12: words[0]: *w names no anchor that was completed above")]
    [InlineData("? [a]\n: b\n", "c.yaml:1:3: a key must be a plain word or a quoted string")]
    [InlineData("name: !env X\n", "c.yaml:1:7: name: the tag !env means nothing here; leave it out")]
    [InlineData("name: ''\n", "c.yaml:1:7: name: must not be empty")]
    [InlineData("inner: 5\n", "c.yaml:1:8: inner: must be a mapping of keys to values, not \"5\"")]
    [InlineData("words: {a: b}\n", "c.yaml:1:8: words: must be a list, as in [a, b] or one \"- a\" a line, not a mapping")]
    [InlineData("inner: &i {port: 1}\nsize:\n  <<: *i\n", "c.yaml:3:3: size: \"<<\" does not merge here; write the keys out, or use the alias as the whole value")]
    [InlineData("<!-- -->", "c.yaml:1:1: must be a mapping of sections, not a single value")]
    public void A_text_that_cannot_be_read_gives_one_clear_error(string yaml, string error) => Assert.Equal(error, Errors(yaml));

    [Fact]
    public void Broken_syntax_is_told_with_its_place()
    {
        Assert.Equal("c.yaml:1:7: not valid YAML here or on the next lines", Errors("name: [a\ninner: 2\n"));
        Assert.StartsWith("c.yaml:2:1: not valid YAML: ", Errors("on: yes\n@name: b\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void An_expression_that_could_backtrack_is_refused()
    {
        Assert.Contains("without backtracking", Errors("expressions: ['(a)\\1']"), StringComparison.Ordinal);
        Assert.Contains("not a regular expression", Errors("expressions: ['(']"), StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_utf8_are_told_with_their_place()
    {
        byte[] text = [.. "name: a\nöx: "u8, 0xC3, .. " b"u8];
        Assert.Equal("c.yaml:2:5: not valid UTF-8; save the file as UTF-8", ConfigDocument.Parse(text, "c.yaml").Read(Sample.Read).ErrorText());
    }

    [Fact]
    public void A_byte_order_mark_is_passed_over() => Assert.True(Read("\uFEFFname: a").IsValid);

    [Fact]
    public void Ten_lines_cannot_stand_for_a_billion_values()
    {
        var bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 10; i++)
            bomb.Append(string.Create(null, $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n"));
        Assert.Contains("too many values", Errors(bomb.ToString()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("? ")]
    public void Deep_nesting_is_refused_without_a_stack_overflow(string opening) =>
        Assert.False(Read("name: \n  " + string.Concat(Enumerable.Repeat(opening, 100_000))).IsValid);

    [Fact]
    public void More_than_a_mebibyte_is_refused_unread() =>
        Assert.Equal("c.yaml: is too large; at most 1 MiB is read", Errors("name: " + new string('x', 1 << 20)));

    [Fact]
    public void A_hostile_number_of_mistakes_is_cut_off()
    {
        var result = Read(string.Concat(Enumerable.Range(0, 1000).Select(i => $"k{i}: 1\n")));
        Assert.Equal(ConfigErrors.Kept + 1, result.Errors.Length);
        Assert.EndsWith("800 more mistakes are not shown", result.ErrorText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/nowhere/at/all.yaml", "/nowhere/at/all.yaml: does not exist")]
    [InlineData("/tmp", "/tmp: is a directory; the path of a YAML file is needed")]
    public void A_file_that_cannot_be_read_is_an_error_too(string path, string error) =>
        Assert.Equal(error, ConfigDocument.Load(path).Read(Sample.Read).ErrorText());

    [Fact]
    public void No_text_makes_it_throw()
    {
        var words = Gen.OneOf(new[] {"name", "inner", "port", "words", "expressions", ": ", ":", "- ", "\n", "\n  ", "\t", "[", "]", "{", "}", ",",
            "&a ", "*a", "!", "!!str ", "'", "\"", "|", ">", "\\x41", "\\uD800", "\\U0011FFFF", "%YAML 1.2", "---", "...", "#", "?", "~", "(", "\\1", "9", "é", "\0", "<<" }.Select(Gen.Const).ToArray());
        Gen.String.Array[0, 3].Select(words.Array[0, 30], (noise, text) => string.Concat(text) + string.Concat(noise))
            .Sample(text => Read(text), iter: 4_000);
        Gen.Byte.Array[0, 200].Sample(bytes => ConfigDocument.Parse(bytes, "c.yaml").Read(Sample.Read));
    }
}
