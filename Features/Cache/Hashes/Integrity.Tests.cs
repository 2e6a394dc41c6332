using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Cache.Hashes;

public sealed class IntegrityTests
{
    [Theory]
    [InlineData("sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=", "hello", true)]
    [InlineData("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "hello", true)]
    [InlineData("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=?opt", "hello", true)]
    [InlineData("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "hellO", false)]
    [InlineData("sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA== sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "hello", false)]
    [InlineData("sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ= md5-x", "hello", true)]
    [InlineData("h1:FLqHfbFP8ZbK9oSZ3UmaivTeLAC4ZBLMBvrDSHFjLOE=", "hello", false)]
    public void The_strongest_algorithm_counts_and_of_it_one_hash_is_enough(string written, string file, bool expected)
    {
        var integrity = Integrity.Parse(written)!;
        Assert.Equal(expected, integrity.IsMetBy(CryptographicOperations.HashData(integrity.Algorithm, Encoding.UTF8.GetBytes(file))));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("md5-XUFAKrxLKna5cZ2REBfFkg==")]
    [InlineData("sha256-short")]
    [InlineData("sha256-AAAA")]
    [InlineData("sha256")]
    [InlineData("h1:x=")]
    public void What_is_no_hash_that_is_known_says_nothing(string? written) => Assert.Null(Integrity.Parse(written));

    [Fact]
    public void A_go_mod_has_the_hash_of_a_list_of_one_file()
    {
        var file = SHA256.HashData("module x\n"u8);
        var line = SHA256.HashData(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(file) + "  go.mod\n"));
        var integrity = Integrity.Parse("h1:" + Convert.ToBase64String(line))!;
        Assert.True(integrity.IsMetBy(file));
        Assert.False(integrity.IsMetBy(line));
        Assert.Equal(integrity.ToString(), integrity.Write(file));
    }

    [Fact]
    public void A_hash_in_hexadecimal_is_the_same_and_anything_else_is_none()
    {
        Assert.True(Integrity.Parse(Integrity.OfHex("sha256", Convert.ToHexString(SHA256.HashData("a"u8))))!.IsMetBy(SHA256.HashData("a"u8)));
        Assert.Null(Integrity.OfHex("sha256", "00"));
        Assert.Null(Integrity.OfHex("sha256", null));
        Assert.Null(Integrity.OfHex("sha256", new string('x', 64)));
    }
}
