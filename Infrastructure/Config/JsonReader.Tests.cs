using System.Text;
using CsCheck;

namespace Discobot.Infrastructure.Config;

public sealed class JsonReaderTests
{
    private static string Read(string json)
    {
        var result = ConfigDocument.ParseJson(Encoding.UTF8.GetBytes(json), "request body")
            .Read(root => $"{root["name"].AsString("-")} {root["n"].AsInt(0)} {string.Join('+', root["list"].AsStrings([]))} {root["on"].AsBool(false)}");
        return result.IsValid ? result.Value : result.ErrorText();
    }

    [Theory]
    [InlineData("""{"name": "a\u00e9\"", "n": 7, "list": ["x", 1], "on": true}""", "aé\" 7 x+1 True")]
    [InlineData("""{"name": null}""", "- 0  False")]
    [InlineData("{\n  \"é\": 1,\n  \"n\": -1}", """
        request body:2:3: "é": unknown key; known here: list, n, name, on
        request body:3:8: n: must be a whole number from 0 to 2147483647, not "-1"
        """)]
    [InlineData("""{"n": 1, "n": 2}""", "request body:1:10: n: written twice; first on line 1")]
    [InlineData("[]", "request body:1:1: must be a JSON object")]
    [InlineData("", "request body:1:1: not valid JSON")]
    [InlineData("name: a", "request body:1:2: not valid JSON")]
    [InlineData("{\"n\": 1} {}", "request body:1:10: not valid JSON")]
    [InlineData("{\n\"n\": 1,}", "request body:2:8: not valid JSON")]
    [InlineData("""{"name": "\ud800"}""", "request body:1:10: not valid JSON: an escape names no character")]
    public void Json_is_read_like_yaml_and_told_off_like_yaml(string json, string expected) => Assert.Equal(expected, Read(json));

    [Fact]
    public void Deep_nesting_is_refused() => Assert.Contains("not valid JSON", Read(new string('[', 100_000)), StringComparison.Ordinal);

    [Fact]
    public void No_text_makes_it_throw() => Gen.OneOf(new[]
    {
        "{", "}", "[", "]", ":", ",", "\"name\"", "\"\\ud800\"", "\"\\u0000\"", "\"", "1e999", "-", "null", "true", " ", "\n", "é", "//", "\\",
    }.Select(Gen.Const).ToArray()).Array[0, 20].Sample(parts => Read(string.Concat(parts)).Length > 0, iter: 5000);
}
