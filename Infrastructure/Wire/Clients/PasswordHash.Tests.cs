using System.Diagnostics;
using System.Net;
using System.Text;

namespace Discobot.Infrastructure.Wire.Clients;

public sealed class PasswordHashTests
{
    [Theory]
    // Drepper's own test vectors.
    [InlineData("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!")]
    [InlineData("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!")]
    // crypt(3) of OpenBSD.
    [InlineData("$2b$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", "pw")]
    [InlineData("$2a$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", "pw")]
    [InlineData("$2y$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", "pw")]
    public void A_password_is_known_by_its_hash(string hash, string password)
    {
        Assert.True(PasswordHash.IsHash(hash));
        Assert.True(Verify(hash, password));
        Assert.False(Verify(hash, password + "x"));
        Assert.False(Verify(hash, password + "\0"));
        Assert.False(Verify(hash, ""));
    }

    [Theory]
    [InlineData("-6", "salt", "pa:55ß word")]
    [InlineData("-6", "0123456789abcdef", "x")]
    [InlineData("-6", "rounds=1000$ab", "a password that is longer than any of the two digests, which have 32 and 64 bytes, so that it takes several of them to cover it")]
    [InlineData("-5", "s", "pa:55ß word")]
    [InlineData("-5", "rounds=1001$abcdefgh", "a password that is longer than any of the two digests, which have 32 and 64 bytes, so that it takes several of them to cover it")]
    public async Task What_openssl_makes_is_one(string kind, string salt, string password)
    {
        using var openssl = Process.Start(new ProcessStartInfo("openssl", ["passwd", kind, "-salt", salt, "-stdin"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await openssl.StandardInput.WriteLineAsync(password);
        openssl.StandardInput.Close();
        var hash = (await openssl.StandardOutput.ReadToEndAsync()).Trim();
        await openssl.WaitForExitAsync();
        Assert.True(PasswordHash.IsHash(hash), hash);
        Assert.True(Verify(hash, password));
        Assert.False(Verify(hash, password[1..]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a password")]
    [InlineData("$1$salt$qJH7.N4xYta3aEG/dfqo/0")]
    [InlineData("$6$saltstring$short")]
    [InlineData("$6$saltstring$$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    [InlineData("$6$rounds=999$s$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    [InlineData("$6$rounds=99999999$s$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    [InlineData("alice:$2y$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q")]
    [InlineData("$2b$31$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q")]
    [InlineData("$2b$03$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q")]
    [InlineData("$2b$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q\n")]
    [InlineData("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1\n")]
    [InlineData("$6$salt\nstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    public void Anything_else_is_none_and_no_password_goes_with_it(string text)
    {
        Assert.False(PasswordHash.IsHash(text));
        Assert.False(Verify(text, "pw"));
    }

    [Fact]
    public async Task A_hash_is_computed_once_for_what_is_right_and_once_for_what_is_wrong()
    {
        const string hash = "$2b$04$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q";
        var passwords = new CheckedPasswords();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => passwords.VerifyAsync(IPAddress.Loopback, "a"u8.ToArray(), "$2b$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", i % 2 == 0 ? "pw"u8.ToArray() : "no"u8.ToArray(), default).AsTask()));
        Assert.Equal(Enumerable.Range(0, 20).Select(i => i % 2 == 0), answers);
        Assert.Equal(2, passwords.Computed);
        Assert.False(await passwords.VerifyAsync(IPAddress.Loopback, "b"u8.ToArray(), hash, "pw"u8.ToArray(), default));
        Assert.Equal(3, passwords.Computed);
    }

    /// <summary>Each guess costs a second here, or more.</summary>
    [Fact]
    public async Task Whoever_guesses_waits_for_his_own_guesses_and_is_in_nobodys_way()
    {
        const string Slow = "$6$rounds=1000000$s$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        var passwords = new CheckedPasswords();
        using var end = new CancellationTokenSource();
        var guesses = Enumerable.Range(0, 40).Select(i => passwords.VerifyAsync(IPAddress.Parse("192.0.2.1"), "a"u8.ToArray(), Slow, [(byte)(i + 1)], end.Token).AsTask()).ToList();
        Assert.True(await passwords.VerifyAsync(IPAddress.Parse("192.0.2.2"), "b"u8.ToArray(), "$2b$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", "pw"u8.ToArray(), default));
        // Those beyond what one may have waiting are refused at once.
        Assert.InRange(guesses.Count(guess => !guess.IsCompleted), 1, 17);
        await end.CancelAsync();
        await Task.WhenAll(guesses).ContinueWith(_ => { }, TaskScheduler.Default);
        // They have left, and are not computed for nobody.
        Assert.True(await passwords.VerifyAsync(IPAddress.Parse("192.0.2.1"), "b"u8.ToArray(), "$2a$05$abcdefghijklmnopqrstuuHIrMEWpUCQe2YqFR3sXwQ75u4od..9q", "pw"u8.ToArray(), default));
        Assert.InRange(passwords.Computed, 3, 15);
    }

    private static bool Verify(string hash, string password) => PasswordHash.Verify(hash, Encoding.UTF8.GetBytes(password));
}
