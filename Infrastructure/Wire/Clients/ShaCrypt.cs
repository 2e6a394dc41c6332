using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Infrastructure.Wire.Clients;

/// <summary>
/// SHA-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512"): <c>$5$</c> and <c>$6$</c>, each followed by <c>rounds=N$</c> where they are not 5000, the salt, <c>$</c> and the hash.
/// </summary>
internal static class ShaCrypt
{
    private const string Digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const string RoundsKey = "rounds=";
    private const int UsualRounds = 5000;
    private const int LongestSalt = 16;

    /// <summary>More would keep a processor for longer than a client waits.</summary>
    private const int MostRounds = 1_000_000;

    /// <summary>Whether a text is such a hash.</summary>
    public static bool IsHash(string text) => Read(text) is { } read && read.Hash.Length == (read.Is512 ? 86 : 43) && read.Hash.All(c => Digits.Contains(c, StringComparison.Ordinal));

    /// <summary>Whether it is the hash of a password.</summary>
    public static bool Verify(string hash, ReadOnlySpan<byte> password) => Read(hash) is { } read
        && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(read.Hash), Encoding.ASCII.GetBytes(Compute(read.Is512, Encoding.UTF8.GetBytes(read.Salt), read.Rounds, password.ToArray())));

    private static (bool Is512, int Rounds, string Salt, string Hash)? Read(string text)
    {
        if (text.Split('$') is not ["", ("5" or "6") and var kind, .. var rest])
            return null;
        var rounds = UsualRounds;
        if (rest is [['r', 'o', 'u', 'n', 'd', 's', '=', ..] written, .. var behind])
        {
            // What is out of bounds the specification clips; here it is no hash, so that nobody believes in more rounds than there are.
            if (!int.TryParse(written.AsSpan(RoundsKey.Length), NumberStyles.None, CultureInfo.InvariantCulture, out rounds) || rounds is < 1000 or > MostRounds)
                return null;
            rest = behind;
        }

        return rest is [var salt, var hash] && salt.Length <= LongestSalt && !salt.Any(char.IsControl) ? (kind == "6", rounds, salt, hash) : null;
    }

    // The steps of the specification, 1 to 21.
    private static string Compute(bool is512, byte[] salt, int rounds, byte[] password)
    {
        byte[] Hash(byte[] data) => is512 ? SHA512.HashData(data) : SHA256.HashData(data);
        var alternate = Hash([.. password, .. salt, .. password]);
        List<byte> first = [.. password, .. salt, .. Repeat(alternate, password.Length)];
        for (var bits = password.Length; bits > 0; bits >>= 1)
            first.AddRange((bits & 1) != 0 ? alternate : password);
        var digest = Hash([.. first]);
        var ofPassword = Repeat(Hash(Times(password, password.Length)), password.Length);
        var ofSalt = Repeat(Hash(Times(salt, 16 + digest[0])), salt.Length);
        for (var round = 0; round < rounds; round++)
        {
            var (isOdd, digits) = (round % 2 == 1, digest);
            digest = Hash([
                .. isOdd ? ofPassword : digits,
                .. round % 3 != 0 ? ofSalt : [],
                .. round % 7 != 0 ? ofPassword : [],
                .. isOdd ? digits : ofPassword,
            ]);
        }

        return is512 ? Encode512(digest) : Encode256(digest);
    }

    private static byte[] Times(byte[] data, int times) => Repeat(data, data.Length * times);

    private static byte[] Repeat(byte[] data, int length)
    {
        var repeated = new byte[length];
        for (var i = 0; i < length; i++)
            repeated[i] = data[i % data.Length];
        return repeated;
    }

    private static string Encode512(byte[] digest)
    {
        var text = new StringBuilder(86);
        var (a, b, c) = (0, 21, 42);
        for (var i = 0; i < 21; i++)
        {
            Append(text, digest[a] << 16 | digest[b] << 8 | digest[c], 4);
            (a, b, c) = (b + 1, c + 1, a + 1);
        }

        return Append(text, digest[63], 2).ToString();
    }

    private static string Encode256(byte[] digest)
    {
        var text = new StringBuilder(43);
        var (a, b, c) = (0, 10, 20);
        for (var i = 0; i < 10; i++)
        {
            Append(text, digest[a] << 16 | digest[b] << 8 | digest[c], 4);
            (a, b, c) = (c + 1, a + 1, b + 1);
        }

        return Append(text, digest[31] << 8 | digest[30], 3).ToString();
    }

    private static StringBuilder Append(StringBuilder text, int bits, int digits)
    {
        for (; digits > 0; digits--, bits >>= 6)
            text.Append(Digits[bits & 63]);
        return text;
    }
}
