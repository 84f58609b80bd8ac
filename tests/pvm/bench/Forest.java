/* Forest.java - binary trees: a large one lives, 50 MB of it, small ones come and go. The same as .bn.forest in all.ph. */
final class Forest {
    private Forest left, right;

    Forest( int depth ) {
        if( depth > 0 ) {
            left = new Forest( depth - 1 );
            right = new Forest( depth - 1 );
        }
    }

    int count() {
        return left == null ? 1 : 1 + left.count() + right.count();
    }

    public static void main( String[] arguments ) {
        Forest large = new Forest( 20 );
        for( int depth = 4; depth <= 16; depth += 4 ) {
            int n = 1 << ( 22 - depth ), sum = 0;
            for( int i = 0; i < n; i++ ) sum += new Forest( depth ).count();
            System.out.println( sum );
        }
        System.out.println( large.count() );
    }
}
